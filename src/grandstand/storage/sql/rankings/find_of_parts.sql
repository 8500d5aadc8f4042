-- Every ranking of these boards' parts that a rank index holds, of whatever period.
SELECT r.ranking_id, r.leaderboard_id, r.epoch, r.started_at, r.part, r.ended_at, r.state, r.total
FROM unnest($1::bigint [], $2::bigint [], $3::text []) AS w (leaderboard_id, epoch, part)
INNER JOIN rankings AS r ON w.leaderboard_id = r.leaderboard_id AND w.epoch = r.epoch AND w.part = r.part
WHERE r.state IN ('live', 'closed')
