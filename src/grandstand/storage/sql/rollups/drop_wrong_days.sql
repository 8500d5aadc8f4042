-- Forgets what is kept of days when somebody counted users without keeping them, as a program of before 0030 does: of all days
-- that those users can have changed. They are filled anew.
DELETE FROM rollup_days
WHERE
    day >= (
        SELECT min(k.day) - 30
        FROM (
            SELECT day, coalesce(sum(users) FILTER (WHERE kind = 'stay'), 0) AS users FROM rollup_days
            GROUP BY day
        ) AS k
        LEFT JOIN rollups AS r
            ON r.grain = 'day' AND r.start = k.day::timestamp AT TIME ZONE 'UTC' AND r.event_type = ''
        WHERE k.users IS DISTINCT FROM r.users
    )
