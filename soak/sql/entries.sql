-- What PostgreSQL holds of every board, period by period, until a period is archived.
SELECT b.key, r.part, r.started_at, e.user_id, e.score, e.achieved_at
FROM entries AS e
INNER JOIN rankings AS r ON e.ranking_id = r.ranking_id
INNER JOIN leaderboards AS b ON r.leaderboard_id = b.leaderboard_id AND r.epoch = b.epoch
WHERE b.deleted_at IS NULL AND r.state IN ('live', 'closed') AND b.key = ANY($1::text [])
