-- Kept days that are not what the users of them make. $2 are the days to look at; all when NULL. See the table `rollup_days`.
WITH kept AS MATERIALIZED (
    SELECT day FROM rollup_days
    WHERE kind = 'cohort' AND number = 0 AND ($2::date [] IS NULL OR day = ANY ($2))
),

members AS MATERIALIZED (
    SELECT k.day, f.user_id
    FROM kept AS k
    INNER JOIN first_events AS f
        ON
            f.occurred_at >= k.day::timestamp AT TIME ZONE 'UTC'
            AND f.occurred_at < (k.day + 1)::timestamp AT TIME ZONE 'UTC'
),

expected AS (
    SELECT day, 'stay' AS kind, number, count(*) AS users
    FROM (
        SELECT
            u.day, coalesce((
                SELECT min(n.day) FROM rollup_users AS n
                WHERE n.event_type = '' AND n.user_id = u.user_id AND n.day > u.day AND n.day <= u.day + 29
            ) - u.day, 30) AS number
        FROM kept AS k
        INNER JOIN rollup_users AS u ON k.day = u.day AND u.event_type = ''
    ) AS stays
    GROUP BY 1, 3
    UNION ALL
    SELECT day, 'cohort', 0, count(*) FROM members
    GROUP BY 1
    UNION ALL
    SELECT m.day, 'cohort', u.day - m.day, count(*)
    FROM members AS m
    INNER JOIN rollup_users AS u
        ON u.event_type = '' AND m.user_id = u.user_id AND u.day IN (m.day + 1, m.day + 7, m.day + 30)
    GROUP BY 1, 3
)

SELECT day, kind, number, coalesce(d.users, 0) AS kept, coalesce(x.users, 0) AS seen, count(*) OVER () AS found
FROM (
    SELECT day, kind, number, users FROM rollup_days
    WHERE day IN (SELECT k.day FROM kept AS k)
) AS d
FULL JOIN expected AS x USING (day, kind, number)
WHERE coalesce(d.users, 0) <> coalesce(x.users, 0)
ORDER BY day, kind, number
LIMIT $1
