SELECT user_id, display_name FROM players WHERE user_id = ANY ($1::text []) AND display_name IS NOT NULL
