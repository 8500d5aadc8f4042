-- Keeps the first events of users among the queued batches $1, and moves users whose first day changed to its cohort; a
-- payload is read only of those that are first so far. Comes after `count`, which kept all days of the batches.
WITH sooner AS MATERIALIZED (
    SELECT DISTINCT ON (q.user_id) q.user_id, q.occurred_at, q.event_id, q.received_from, q.received_until
    FROM (
        SELECT
            e.*, b.received_month AS received_from,
            coalesce(b.received_until, (b.received_month + interval '1 month')::date) AS received_until
        FROM rollup_queue AS b
        CROSS JOIN LATERAL unnest(b.user_ids, b.occurred_at, b.event_ids) AS e (user_id, occurred_at, event_id)
        WHERE b.batch_id = ANY ($1::bigint [])
    ) AS q
    WHERE NOT EXISTS (
        SELECT FROM first_events AS k
        WHERE k.user_id = q.user_id AND (k.occurred_at, k.event_id) <= (q.occurred_at, q.event_id)
    )
    ORDER BY q.user_id, q.occurred_at, q.event_id
),

kept AS (
    INSERT INTO first_events (user_id, occurred_at, event_id, event_type, payload)
    SELECT s.user_id, s.occurred_at, s.event_id, e.event_type, e.payload
    FROM sooner AS s
    -- Its days lead to the one partition that has the event.
    INNER JOIN events AS e
        ON
            s.event_id = e.id
            AND e.received_at >= s.received_from::timestamp AT TIME ZONE 'UTC'
            AND e.received_at < s.received_until::timestamp AT TIME ZONE 'UTC'
    ON CONFLICT (user_id) DO UPDATE SET
        occurred_at = excluded.occurred_at, event_id = excluded.event_id, event_type = excluded.event_type,
        payload = excluded.payload
    RETURNING user_id, (occurred_at AT TIME ZONE 'UTC')::date AS day
),

moved AS MATERIALIZED (
    -- What is held is as it was before this statement.
    SELECT k.user_id, k.day, (h.occurred_at AT TIME ZONE 'UTC')::date AS day_before
    FROM kept AS k
    LEFT JOIN first_events AS h ON k.user_id = h.user_id
    WHERE k.day IS DISTINCT FROM (h.occurred_at AT TIME ZONE 'UTC')::date
),

places AS (
    SELECT user_id, day, 1 AS users FROM moved
    UNION ALL
    SELECT user_id, day_before, -1 FROM moved
    WHERE day_before IS NOT NULL
)

INSERT INTO rollup_days AS d (day, kind, number, users)
SELECT p.day, 'cohort', p.number, sum(p.users)
FROM (
    SELECT day, 0 AS number, users FROM places
    UNION ALL
    SELECT b.day, u.day - b.day, b.users
    FROM places AS b
    CROSS JOIN LATERAL (
        SELECT s.day FROM rollup_users AS s
        WHERE s.event_type = '' AND s.user_id = b.user_id AND s.day IN (b.day + 1, b.day + 7, b.day + 30)
    ) AS u
) AS p
WHERE EXISTS (SELECT FROM rollup_days AS k WHERE k.day = p.day AND k.kind = 'cohort' AND k.number = 0)
GROUP BY p.day, p.number
HAVING sum(p.users) <> 0
ON CONFLICT (day, kind, number) DO UPDATE SET users = d.users + excluded.users
