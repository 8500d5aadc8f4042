-- Adds what the users $1 make of the days that are kept, $2 times (-1 takes it away). Needs the lock.
WITH seen AS MATERIALIZED (
    SELECT u.user_id, u.day, lead(u.day) OVER (PARTITION BY u.user_id ORDER BY u.day) - u.day AS next_after
    FROM unnest($1::text []) AS n (user_id)
    INNER JOIN rollup_users AS u ON u.event_type = '' AND n.user_id = u.user_id
),

first AS (
    SELECT user_id, (occurred_at AT TIME ZONE 'UTC')::date AS day FROM first_events
    WHERE user_id = ANY ($1)
)

INSERT INTO rollup_days AS d (day, kind, number, users)
SELECT p.day, p.kind, p.number, $2::int * count(*)
FROM (
    SELECT day, 'stay' AS kind, least(coalesce(next_after, 30), 30) AS number FROM seen
    UNION ALL
    SELECT day, 'stay', 0 FROM seen
    UNION ALL
    SELECT day, 'cohort', 0 FROM first
    UNION ALL
    SELECT f.day, 'cohort', s.day - f.day
    FROM first AS f
    INNER JOIN seen AS s ON f.user_id = s.user_id AND s.day - f.day IN (1, 7, 30)
) AS p
WHERE
    EXISTS (
        SELECT FROM rollup_days AS k
        WHERE
            k.day = p.day AND k.number = 0
            AND k.kind = CASE WHEN p.kind = 'stay' AND p.number = 0 THEN 'stay' ELSE 'cohort' END
    )
GROUP BY p.day, p.kind, p.number
ON CONFLICT (day, kind, number) DO UPDATE SET users = d.users + excluded.users
