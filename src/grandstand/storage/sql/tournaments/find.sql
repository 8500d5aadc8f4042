-- A tournament with its running occurrence, else the next, else the last, or ($2 set) one of its occurrences.
SELECT
    t.tournament_id, t.leaderboard_id, t.definition, t.created_at, o.occurrence, o.starts_at, o.ends_at, o.status,
    o.players, o.settled_at,
    (
        SELECT min(n.starts_at) FROM occurrences AS n
        WHERE n.tournament_id = t.tournament_id AND n.occurrence > o.occurrence AND n.status = 'scheduled'
    ) AS next_starts_at
FROM tournaments AS t
INNER JOIN LATERAL (
    SELECT * FROM occurrences AS o
    WHERE o.tournament_id = t.tournament_id AND ($2::integer IS NULL OR o.occurrence = $2::integer)
    ORDER BY (o.status IN ('active', 'ended'))::integer DESC, (o.status = 'scheduled')::integer DESC, o.occurrence DESC
    LIMIT 1
) AS o ON true
WHERE t.tournament_id = $1
