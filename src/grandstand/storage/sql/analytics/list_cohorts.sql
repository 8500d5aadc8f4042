-- Users by the local day and the payload field $7 of their first event, and how many of them were seen 1, 7 and 30 days
-- later. Day $1 lasts from $2 to $3; day $4 has the hours $6 of the UTC day $5.
WITH members AS MATERIALIZED (
    SELECT d.day, f.user_id, left(f.payload #>> $7::text [], 255) AS label
    FROM unnest($1::date [], $2::timestamptz [], $3::timestamptz []) AS d (day, starts_at, ends_at)
    INNER JOIN first_events AS f ON f.occurred_at >= d.starts_at AND f.occurred_at < d.ends_at
),

back AS (
    SELECT
        m.user_id,
        bool_or(p.day - m.day = 1) AS day_1, bool_or(p.day - m.day = 7) AS day_7, bool_or(p.day - m.day = 30) AS day_30
    FROM members AS m
    INNER JOIN unnest($4::date [], $5::date [], $6::int []) AS p (day, utc_day, hours) ON p.day - m.day IN (1, 7, 30)
    INNER JOIN rollup_users AS u
        ON p.utc_day = u.day AND u.event_type = '' AND m.user_id = u.user_id AND p.hours & u.hours <> 0
    GROUP BY m.user_id
)

SELECT
    m.day, m.label, count(*) AS size,
    count(*) FILTER (WHERE b.day_1) AS day_1,
    count(*) FILTER (WHERE b.day_7) AS day_7,
    count(*) FILTER (WHERE b.day_30) AS day_30
FROM members AS m
LEFT JOIN back AS b ON m.user_id = b.user_id
GROUP BY m.day, m.label
ORDER BY m.day, m.label NULLS FIRST
LIMIT $8
