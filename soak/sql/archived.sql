-- Periods that are archived.
SELECT b.key, r.part, r.started_at
FROM rankings AS r
INNER JOIN leaderboards AS b ON r.leaderboard_id = b.leaderboard_id AND r.epoch = b.epoch
WHERE b.deleted_at IS NULL AND r.state = 'archived' AND b.key = ANY($1::text [])
