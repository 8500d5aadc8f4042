-- The newest occurrence that is made of each tournament that goes on repeating, of those that start before $1.
SELECT
    o.tournament_id, o.leaderboard_id, o.definition, o.created_at, o.occurrence, o.starts_at, o.ends_at, o.status,
    o.players, o.settled_at, o.is_cut, NULL::timestamptz AS next_starts_at
FROM tournament_occurrences AS o
WHERE
    o.status IN ('scheduled', 'active') AND o.starts_at < $1 AND o.definition ->> 'repeat' IS NOT NULL
    AND NOT EXISTS (
        SELECT FROM occurrences AS n WHERE n.tournament_id = o.tournament_id AND n.occurrence > o.occurrence
    )
ORDER BY o.starts_at, o.tournament_id
LIMIT $2
