SELECT
    o.tournament_id, o.leaderboard_id, o.definition, o.created_at, o.occurrence, o.starts_at, o.ends_at, o.status,
    o.players, o.settled_at, o.is_cut,
    (
        SELECT min(n.starts_at) FROM occurrences AS n
        WHERE n.tournament_id = o.tournament_id AND n.occurrence > o.occurrence AND n.status = 'scheduled'
    ) AS next_starts_at
FROM tournaments AS t
INNER JOIN LATERAL (
    SELECT * FROM tournament_occurrences AS o
    WHERE o.tournament_id = t.tournament_id
    ORDER BY
        o.status IN ('active', 'ended') DESC, o.status = 'scheduled' DESC, o.status = 'cancelled' DESC, o.has_begun DESC,
        CASE WHEN o.has_begun THEN -o.occurrence ELSE o.occurrence END
    LIMIT 1
) AS o ON true
WHERE t.tournament_id > $1 AND ($2::text IS NULL OR o.status = $2::text)
    -- Those that have such an occurrence at all are found by an index; which one of a tournament counts is decided above.
    AND (
        $2::text IS NULL
        OR t.tournament_id IN (SELECT s.tournament_id FROM occurrences AS s WHERE s.status = $2::text)
    )
    -- Said as what it is not: the planner takes "= 'public'" for one in 200 and would sort them all to show ten.
    AND (NOT $4::boolean OR t.definition ->> 'visibility' <> 'private')
ORDER BY t.tournament_id
LIMIT $3
