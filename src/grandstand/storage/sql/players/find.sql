SELECT user_id, display_name, country, metadata, created_at, updated_at FROM players WHERE user_id = $1
