-- Taken apart once, whichever index is used.
SELECT user_id FROM players WHERE banned_at IS NOT NULL AND user_id = ANY ((SELECT $1::text::text [])::text [])
