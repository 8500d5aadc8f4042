-- Rankings that the rank index holds, a stretch at a time.
SELECT r.ranking_id, r.leaderboard_id, r.epoch, r.started_at, r.part, r.ended_at, r.state, r.total
FROM rankings AS r
WHERE r.state IN ('live', 'closed') AND r.ranking_id > $1
ORDER BY r.ranking_id
LIMIT $2
