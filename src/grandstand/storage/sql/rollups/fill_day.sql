-- Keeps the newest day that is counted and not kept, from the users who were seen on it. Needs the lock.
WITH missing AS MATERIALIZED (
    SELECT (r.start AT TIME ZONE 'UTC')::date AS day FROM rollups AS r
    WHERE
        r.grain = 'day' AND r.event_type = ''
        AND NOT EXISTS (
            SELECT FROM rollup_days AS k
            WHERE k.day = (r.start AT TIME ZONE 'UTC')::date AND k.kind = 'cohort' AND k.number = 0
        )
    ORDER BY r.start DESC
    LIMIT 1
),

stays AS (
    SELECT
        u.day, coalesce((
            SELECT min(n.day) FROM rollup_users AS n
            WHERE n.event_type = '' AND n.user_id = u.user_id AND n.day > u.day AND n.day <= u.day + 29
        ) - u.day, 30) AS number
    FROM missing AS m
    INNER JOIN rollup_users AS u ON m.day = u.day AND u.event_type = ''
),

members AS MATERIALIZED (
    SELECT m.day, f.user_id
    FROM missing AS m
    INNER JOIN first_events AS f
        ON
            f.occurred_at >= m.day::timestamp AT TIME ZONE 'UTC'
            AND f.occurred_at < (m.day + 1)::timestamp AT TIME ZONE 'UTC'
)

INSERT INTO rollup_days (day, kind, number, users)
SELECT day, 'stay', number, count(*) FROM stays
GROUP BY 1, 3
UNION ALL
SELECT m.day, 'cohort', 0, (SELECT count(*) FROM members) FROM missing AS m
UNION ALL
SELECT b.day, 'cohort', a.number, count(*)
FROM members AS b
CROSS JOIN (VALUES (1), (7), (30)) AS a (number)
INNER JOIN rollup_users AS u ON b.day + a.number = u.day AND u.event_type = '' AND b.user_id = u.user_id
GROUP BY b.day, a.number
