-- Archived rankings in an order of chance that the seed decides; `is_in_force` when the board still has their rule.
SELECT
    r.ranking_id, r.leaderboard_id, r.started_at, r.part, r.total, l.key, l.epoch = r.epoch AS is_in_force,
    CASE WHEN l.definition ->> 'order' = 'asc' THEN 1 ELSE -1 END AS direction
FROM rankings AS r
INNER JOIN leaderboards AS l ON r.leaderboard_id = l.leaderboard_id
WHERE r.state = 'archived'
ORDER BY md5(r.ranking_id::text || $1::text), r.ranking_id
