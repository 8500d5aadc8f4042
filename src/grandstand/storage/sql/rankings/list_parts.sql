-- All rankings of a board that batches may write, of a replay's epoch too.
SELECT r.ranking_id, r.leaderboard_id, r.epoch, r.started_at, r.part, r.ended_at, r.state, r.total
FROM rankings AS r
WHERE r.leaderboard_id = $1 AND r.state IN ('live', 'closed')
ORDER BY r.ranking_id
