-- Hours and types whose number of events is not that of the stored ones without the queued. Where events have left
-- PostgreSQL ($2), more may be counted than is stored.
WITH stored AS (
    SELECT date_trunc('hour', occurred_at, 'UTC') AS start, event_type, count(*) AS events FROM events
    GROUP BY 1, 2
),

queued AS (
    SELECT date_trunc('hour', e.occurred_at, 'UTC') AS start, e.event_type, count(*) AS events
    FROM rollup_queue AS q
    CROSS JOIN LATERAL unnest(q.event_types, q.occurred_at) AS e (event_type, occurred_at)
    GROUP BY 1, 2
),

compared AS (
    SELECT start, event_type, coalesce(r.events, 0) AS counted, coalesce(s.events, 0) - coalesce(q.events, 0) AS stored
    FROM stored AS s
    LEFT JOIN queued AS q USING (start, event_type)
    FULL JOIN (SELECT start, event_type, events FROM rollups WHERE grain = 'hour') AS r USING (start, event_type)
)

SELECT start, event_type, counted, stored, count(*) OVER () AS found FROM compared
WHERE counted < stored OR (counted > stored AND NOT $2)
ORDER BY start, event_type
LIMIT $1
