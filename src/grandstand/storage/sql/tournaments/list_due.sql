-- Occurrences with an overdue step, in the order in which the steps were due. $2: what ended by then may be settled.
SELECT
    t.tournament_id, t.leaderboard_id, t.definition, t.created_at, o.occurrence, o.starts_at, o.ends_at, o.status,
    o.players, o.settled_at
FROM occurrences AS o
INNER JOIN tournaments AS t ON o.tournament_id = t.tournament_id
INNER JOIN leaderboards AS l ON t.leaderboard_id = l.leaderboard_id
WHERE
    (o.status = 'scheduled' AND o.starts_at <= $1)
    OR (o.status = 'active' AND o.ends_at <= $1)
    OR (o.status = 'ended' AND o.ends_at + make_interval(secs => l.grace_seconds) <= $2)
ORDER BY CASE WHEN o.status = 'scheduled' THEN o.starts_at ELSE o.ends_at END, o.tournament_id, o.occurrence
LIMIT $3
