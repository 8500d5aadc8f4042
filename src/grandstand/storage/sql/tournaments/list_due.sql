-- Occurrences with an overdue step, in the order in which the steps were due. $2: what ended by then may be settled.
SELECT
    o.tournament_id, o.leaderboard_id, o.definition, o.created_at, o.occurrence, o.starts_at, o.ends_at, o.status,
    o.players, o.settled_at, o.is_cut, NULL::timestamptz AS next_starts_at, d.due_at
FROM (
    SELECT s.tournament_id, s.occurrence, s.starts_at AS due_at FROM occurrences AS s
    WHERE s.status = 'scheduled' AND s.starts_at <= $1
    UNION ALL
    SELECT a.tournament_id, a.occurrence, a.ends_at AS due_at FROM occurrences AS a
    WHERE a.status = 'active' AND a.ends_at <= $1
    UNION ALL
    SELECT e.tournament_id, e.occurrence, e.ends_at + make_interval(secs => l.grace_seconds) AS due_at
    FROM occurrences AS e
    INNER JOIN tournaments AS t ON e.tournament_id = t.tournament_id
    INNER JOIN leaderboards AS l ON t.leaderboard_id = l.leaderboard_id
    WHERE e.status = 'ended' AND e.ends_at <= $2 AND e.ends_at + make_interval(secs => l.grace_seconds) <= $2
) AS d
INNER JOIN tournament_occurrences AS o ON d.tournament_id = o.tournament_id AND d.occurrence = o.occurrence
ORDER BY d.due_at, o.tournament_id, o.occurrence
LIMIT $3 OFFSET $4
