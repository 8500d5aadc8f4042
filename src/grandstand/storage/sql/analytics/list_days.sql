-- Events and users of local days: day $1 lasts from $2 to $3, and its users were seen in the hours $6 of the UTC day $5.
WITH days AS (
    SELECT * FROM unnest($1::date [], $2::timestamptz [], $3::timestamptz []) AS d (day, starts_at, ends_at)
),

parts AS (
    SELECT * FROM unnest($4::date [], $5::date [], $6::int []) AS p (day, utc_day, hours)
),

counted AS (
    SELECT d.day, r.event_type, sum(r.events) AS events
    FROM days AS d
    INNER JOIN rollups AS r ON r.grain = 'hour' AND r.start >= d.starts_at AND r.start < d.ends_at
    WHERE $7::text IS NULL OR r.event_type = $7
    GROUP BY 1, 2
),

seen AS (
    SELECT p.day, u.event_type, count(DISTINCT u.user_id) AS users
    FROM parts AS p
    INNER JOIN rollup_users AS u ON p.utc_day = u.day AND p.hours & u.hours <> 0
    WHERE u.event_type <> '' AND ($7::text IS NULL OR u.event_type = $7)
    GROUP BY 1, 2
)

SELECT d.starts_at AS start, c.event_type, c.events::bigint AS events, s.users
FROM counted AS c
INNER JOIN seen AS s ON c.day = s.day AND c.event_type = s.event_type
INNER JOIN days AS d ON c.day = d.day
ORDER BY 1, 2
LIMIT $8
