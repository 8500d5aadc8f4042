-- Of the epochs in force only. A whole comes after its parts: once it is archived, all of its period is.
SELECT r.ranking_id, r.leaderboard_id, r.epoch, r.started_at, r.part, r.ended_at, r.state, r.total
FROM rankings AS r
INNER JOIN leaderboards AS l ON r.leaderboard_id = l.leaderboard_id AND r.epoch = l.epoch
WHERE r.state IN ('live', 'closed') AND r.ended_at <= $1
ORDER BY r.ended_at, r.leaderboard_id, r.part DESC
LIMIT $2
