-- Hours and days whose number of users is not that of the users who were seen in them, or whose events do not add up. $2 are
-- the days to look at; all when NULL.
WITH masks AS (
    SELECT day, event_type, hours, count(*) AS users FROM rollup_users
    WHERE $2::date [] IS NULL OR day = ANY ($2)
    GROUP BY 1, 2, 3
),

seen AS (
    SELECT 'day' AS grain, day::timestamp AT TIME ZONE 'UTC' AS start, event_type, sum(users) AS users FROM masks
    GROUP BY 1, 2, 3
    UNION ALL
    SELECT 'hour', (m.day + make_interval(hours => h.hour)) AT TIME ZONE 'UTC', m.event_type, sum(m.users)
    FROM masks AS m
    CROSS JOIN generate_series(0, 23) AS h (hour)
    WHERE m.event_type <> '' AND m.hours >> h.hour & 1 = 1
    GROUP BY 1, 2, 3
),

held AS (
    SELECT grain, start, event_type, users, events FROM rollups
    WHERE $2::date [] IS NULL OR (start AT TIME ZONE 'UTC')::date = ANY ($2)
),

added AS (
    SELECT 'day' AS grain, date_trunc('day', start, 'UTC') AS start, coalesce(event_type, '') AS event_type, sum(events) AS events
    FROM held
    WHERE grain = 'hour'
    GROUP BY GROUPING SETS ((date_trunc('day', start, 'UTC'), event_type), (date_trunc('day', start, 'UTC')))
)

SELECT grain, start, event_type, coalesce(h.users, 0) AS counted, coalesce(s.users, 0) AS seen, count(*) OVER () AS found
FROM held AS h
FULL JOIN seen AS s USING (grain, start, event_type)
LEFT JOIN added AS a USING (grain, start, event_type)
WHERE h.users IS DISTINCT FROM s.users OR (grain = 'day' AND h.events IS DISTINCT FROM a.events)
ORDER BY start, grain, event_type
LIMIT $1
