-- A tournament with its newest occurrence, or ($2 set) one of its occurrences.
SELECT
    t.tournament_id, t.leaderboard_id, t.definition, t.created_at, o.occurrence, o.starts_at, o.ends_at, o.status,
    o.players, o.settled_at
FROM tournaments AS t
INNER JOIN LATERAL (
    SELECT * FROM occurrences AS o
    WHERE o.tournament_id = t.tournament_id AND ($2::integer IS NULL OR o.occurrence = $2::integer)
    ORDER BY (o.status IN ('active', 'ended'))::integer DESC, (o.status = 'scheduled')::integer DESC, o.occurrence DESC
    LIMIT 1
) AS o ON true
WHERE t.tournament_id = $1
