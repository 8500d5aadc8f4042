-- The occurrence that players enter at $2: the running one, else the next.
SELECT
    o.tournament_id, o.leaderboard_id, o.definition, o.created_at, o.occurrence, o.starts_at, o.ends_at, o.status,
    o.players, o.settled_at, o.is_cut,
    (
        SELECT min(n.starts_at) FROM occurrences AS n
        WHERE n.tournament_id = o.tournament_id AND n.occurrence > o.occurrence AND n.status = 'scheduled'
    ) AS next_starts_at
FROM tournament_occurrences AS o
WHERE o.tournament_id = $1 AND o.status IN ('active', 'scheduled') AND o.ends_at > $2
ORDER BY o.status = 'active' DESC, o.occurrence
LIMIT 1
