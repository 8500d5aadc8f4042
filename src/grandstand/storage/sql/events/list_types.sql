-- The types of stored events, $1 of them at most: each by one step down the index of types, however many events have it.
WITH RECURSIVE types AS (
    (SELECT e.event_type FROM events AS e ORDER BY e.event_type LIMIT 1)
    UNION ALL
    SELECT (SELECT e.event_type FROM events AS e WHERE e.event_type > t.event_type ORDER BY e.event_type LIMIT 1)
    FROM types AS t
    WHERE t.event_type IS NOT NULL
)

SELECT event_type FROM types WHERE event_type IS NOT NULL LIMIT $1
