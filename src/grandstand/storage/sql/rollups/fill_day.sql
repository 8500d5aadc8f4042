-- Keeps the newest day that waits for it, from the users who were seen on it. Needs the lock.
WITH missing AS MATERIALIZED (
    SELECT day FROM rollup_days
    WHERE kind = 'stay' AND number = 0
    ORDER BY day DESC
    LIMIT 1
),

waiting AS (
    DELETE FROM rollup_days
    WHERE kind = 'stay' AND number = 0 AND day = (SELECT m.day FROM missing AS m)
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
