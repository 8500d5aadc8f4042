-- A lifted ban (leaderboard 0) is a removal from every board.
SELECT user_id, leaderboard_id, removed_at FROM removals WHERE user_id = ANY ($1::text [])
UNION ALL
SELECT user_id, 0, unbanned_at FROM players WHERE unbanned_at IS NOT NULL AND user_id = ANY ($1::text [])
