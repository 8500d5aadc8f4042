-- Every occurrence, with what bears on its scores. A tournament that was never changed keeps `updated_at`.
SELECT
    o.tournament_id, o.occurrence, o.starts_at, o.ends_at, o.status, o.players, o.is_moved, o.settled_at,
    t.leaderboard_id, coalesce(o.definition, t.definition) AS definition, t.updated_at > t.created_at AS is_changed,
    l.grace_seconds
FROM occurrences AS o
INNER JOIN tournaments AS t ON o.tournament_id = t.tournament_id
INNER JOIN leaderboards AS l ON t.leaderboard_id = l.leaderboard_id
ORDER BY o.tournament_id, o.occurrence
