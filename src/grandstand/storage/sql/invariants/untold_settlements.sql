-- Occurrences settled since $1 of which the outbox has no event with an id from $2 on.
SELECT o.tournament_id, o.occurrence, count(*) OVER () AS found
FROM occurrences AS o
LEFT JOIN webhook_events AS e
    ON
        e.event_id >= $2 AND e.type = 'tournament.settled' AND e.payload ->> 'tournament_id' = o.tournament_id
        AND (e.payload ->> 'occurrence')::integer = o.occurrence
WHERE o.status = 'settled' AND o.settled_at >= $1 AND e.event_id IS NULL
ORDER BY o.tournament_id, o.occurrence
LIMIT $3
