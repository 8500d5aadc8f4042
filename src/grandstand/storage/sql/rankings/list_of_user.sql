-- The running periods, as wholes, in which a user has an entry; of the epochs in force.
SELECT r.ranking_id, r.leaderboard_id, r.epoch, r.started_at, r.part, r.ended_at, r.state, r.total
FROM rankings AS r
INNER JOIN leaderboards AS l ON r.leaderboard_id = l.leaderboard_id AND r.epoch = l.epoch
WHERE
    r.state IN ('live', 'closed') AND r.part = '' AND r.started_at <= $2
    AND (r.ended_at IS NULL OR r.ended_at > $2) AND l.deleted_at IS NULL
    AND EXISTS (SELECT 1 FROM entries AS e WHERE e.ranking_id = r.ranking_id AND e.user_id = $1)
ORDER BY l.key, r.started_at
LIMIT $3
