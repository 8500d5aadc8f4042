-- A lifted ban is a removal from every board.
SELECT leaderboard_id, user_id, removed_at FROM removals WHERE removed_at >= $1
UNION ALL
SELECT l.leaderboard_id, p.user_id, p.unbanned_at
FROM players AS p
CROSS JOIN leaderboards AS l
WHERE p.unbanned_at >= $1 AND l.deleted_at IS NULL
