-- A lifted ban is a removal from every board.
SELECT r.user_id, max(r.removed_at) AS removed_at
FROM (
    SELECT user_id, removed_at FROM removals WHERE leaderboard_id = $1
    UNION ALL
    SELECT user_id, unbanned_at FROM players WHERE unbanned_at IS NOT NULL
) AS r
GROUP BY r.user_id
