-- Occurrences that overlap [$1, $2), in the order in which they start, with the tournament's rule as it is now.
SELECT
    o.tournament_id, o.leaderboard_id, o.definition, o.created_at, o.occurrence, o.starts_at, o.ends_at, o.status,
    o.players, o.settled_at, o.is_cut, NULL::timestamptz AS next_starts_at
FROM tournament_occurrences AS o
WHERE tstzrange(o.starts_at, o.ends_at) && tstzrange($1, $2)
ORDER BY o.starts_at, o.tournament_id
LIMIT $3
