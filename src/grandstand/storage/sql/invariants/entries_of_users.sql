-- Entries in running rankings of the epochs in force, but for buckets, which repeat those of the whole.
SELECT
    e.user_id, r.ranking_id, r.leaderboard_id, r.started_at, r.part, e.score, e.total, e.tie_key, e.achieved_at,
    e.event_id, e.metadata
FROM rankings AS r
INNER JOIN leaderboards AS l ON r.leaderboard_id = l.leaderboard_id AND r.epoch = l.epoch
INNER JOIN entries AS e ON r.ranking_id = e.ranking_id
WHERE r.state = 'live' AND r.part NOT LIKE 'b:%' AND l.deleted_at IS NULL AND e.user_id = ANY ($1::text [])
