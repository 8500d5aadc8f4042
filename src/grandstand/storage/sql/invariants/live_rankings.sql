-- Running rankings of the epochs in force, but for buckets.
SELECT r.leaderboard_id, r.started_at, r.part
FROM rankings AS r
INNER JOIN leaderboards AS l ON r.leaderboard_id = l.leaderboard_id AND r.epoch = l.epoch
WHERE r.state = 'live' AND r.part NOT LIKE 'b:%' AND l.deleted_at IS NULL
