SELECT r.ranking_id, r.leaderboard_id, r.epoch, r.started_at, r.part, r.ended_at, r.state, r.total
FROM rankings AS r
WHERE r.state IN ('live', 'closed') AND r.ended_at <= $1
ORDER BY r.ended_at, r.ranking_id
LIMIT $2
