SELECT user_id FROM players WHERE banned_at IS NOT NULL AND user_id = ANY ($1::text [])
