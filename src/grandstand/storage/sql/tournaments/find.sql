-- A tournament with its running occurrence, else the next, else the last that began, or ($2 set) one of its occurrences.
SELECT
    o.tournament_id, o.leaderboard_id, o.definition, o.created_at, o.occurrence, o.starts_at, o.ends_at, o.status,
    o.players, o.settled_at, o.is_cut,
    (
        SELECT min(n.starts_at) FROM occurrences AS n
        WHERE n.tournament_id = o.tournament_id AND n.occurrence > o.occurrence AND n.status = 'scheduled'
    ) AS next_starts_at
FROM tournament_occurrences AS o
WHERE o.tournament_id = $1 AND ($2::integer IS NULL OR o.occurrence = $2::integer)
ORDER BY
    o.status IN ('active', 'ended') DESC, o.status = 'scheduled' DESC, o.status = 'cancelled' DESC, o.has_begun DESC,
    CASE WHEN o.has_begun THEN -o.occurrence ELSE o.occurrence END
LIMIT 1
