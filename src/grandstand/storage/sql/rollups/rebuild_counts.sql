WITH counted AS (
    SELECT date_trunc('hour', occurred_at, 'UTC') AS start, event_type, count(*) AS events FROM events
    GROUP BY 1, 2
)

INSERT INTO rollups (grain, start, event_type, events, users)
SELECT grain, start, event_type, sum(events), sum(users)
FROM (
    SELECT 'hour' AS grain, start, event_type, events, 0 AS users FROM counted
    UNION ALL
    SELECT 'day', date_trunc('day', start, 'UTC'), event_type, events, 0 FROM counted
    UNION ALL
    SELECT 'day', date_trunc('day', start, 'UTC'), '', events, 0 FROM counted
    UNION ALL
    SELECT 'day', day::timestamp AT TIME ZONE 'UTC', event_type, 0, count(*) FROM rollup_users
    GROUP BY day, event_type
    UNION ALL
    SELECT 'hour', (m.day + make_interval(hours => h.hour)) AT TIME ZONE 'UTC', m.event_type, 0, m.users
    FROM (
        SELECT day, event_type, hours, count(*) AS users FROM rollup_users
        WHERE event_type <> ''
        GROUP BY 1, 2, 3
    ) AS m
    CROSS JOIN generate_series(0, 23) AS h (hour)
    WHERE m.hours >> h.hour & 1 = 1
) AS parts
GROUP BY grain, start, event_type
