SELECT user_id, banned_at, unbanned_at FROM players WHERE user_id = ANY($1::text [])
