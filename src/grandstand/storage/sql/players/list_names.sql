SELECT user_id, display_name FROM players WHERE display_name IS NOT NULL
