SELECT r.ranking_id, r.leaderboard_id, r.epoch, r.started_at, r.part, r.ended_at, r.state, r.total
FROM rankings AS r
WHERE r.ranking_id = ANY ($1::bigint [])
