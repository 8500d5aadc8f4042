-- Of the users $1: hours in which they have stored events and were not seen, and first events that are not the first. Where
-- events have left PostgreSQL ($3) an earlier one may be held. Who has queued events, or is being erased, is left out.
WITH users AS (
    SELECT user_id FROM unnest($1::text []) AS u (user_id)
    WHERE
        NOT EXISTS (SELECT FROM rollup_queue AS q WHERE u.user_id = ANY (q.user_ids))
        AND NOT EXISTS (SELECT FROM erasures AS x WHERE x.user_id = u.user_id OR x.pseudonym = u.user_id)
),

stored AS MATERIALIZED (
    SELECT
        e.user_id, e.event_type, e.occurred_at, e.id, (e.occurred_at AT TIME ZONE 'UTC')::date AS day,
        1 << date_part('hour', e.occurred_at AT TIME ZONE 'UTC')::int AS hours
    FROM users AS u
    INNER JOIN events AS e ON u.user_id = e.user_id
),

expected AS (
    SELECT user_id, coalesce(event_type, '') AS event_type, day, bit_or(hours) AS hours FROM stored
    GROUP BY GROUPING SETS ((user_id, day, event_type), (user_id, day))
),

first AS (
    SELECT DISTINCT ON (user_id) user_id, occurred_at, id, day FROM stored
    ORDER BY user_id, occurred_at, id
)

SELECT user_id, day, event_type, what, count(*) OVER () AS found
FROM (
    SELECT x.user_id, x.day, x.event_type, 'was not seen in every hour' AS what
    FROM expected AS x
    LEFT JOIN rollup_users AS u ON x.day = u.day AND x.event_type = u.event_type AND x.user_id = u.user_id
    WHERE x.hours & ~coalesce(u.hours, 0) <> 0
    UNION ALL
    SELECT f.user_id, f.day, '', 'has another first event'
    FROM first AS f
    LEFT JOIN first_events AS k ON f.user_id = k.user_id
    WHERE
        k.user_id IS NULL OR (k.occurred_at, k.event_id) > (f.occurred_at, f.id)
        OR ((k.occurred_at, k.event_id) < (f.occurred_at, f.id) AND NOT $3)
) AS wrong
ORDER BY user_id, day, event_type
LIMIT $2
