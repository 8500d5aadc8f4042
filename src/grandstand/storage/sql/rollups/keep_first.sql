-- Keeps the first events of users among the queued batches $1, and moves users whose first day changed to its cohort; a
-- payload is read only of those that are first so far. Comes after `count`, which kept all days of the batches.
WITH sooner AS MATERIALIZED (
    -- A user's first of the batches is found before the one that is held is looked up: once a user and not once an event.
    SELECT q.*
    FROM (
        SELECT DISTINCT ON (e.user_id) e.*
        FROM (
            SELECT
                unnest(user_ids) AS user_id, unnest(occurred_at) AS occurred_at, unnest(event_ids) AS event_id,
                received_month AS received_from,
                coalesce(received_until, (received_month + interval '1 month')::date) AS received_until
            FROM rollup_queue
            WHERE batch_id = ANY ($1::bigint [])
        ) AS e
        ORDER BY e.user_id, e.occurred_at, e.event_id
    ) AS q
    WHERE NOT EXISTS (
        SELECT FROM first_events AS k
        WHERE k.user_id = q.user_id AND (k.occurred_at, k.event_id) <= (q.occurred_at, q.event_id)
        OFFSET 0
    )
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
    -- What is held is as it was before this statement. OFFSET: see `count`.
    SELECT k.user_id, k.day, h.day AS day_before
    FROM kept AS k
    LEFT JOIN LATERAL (
        SELECT (f.occurred_at AT TIME ZONE 'UTC')::date AS day FROM first_events AS f
        WHERE f.user_id = k.user_id
        OFFSET 0
    ) AS h ON true
    WHERE k.day IS DISTINCT FROM h.day
),

places AS (
    SELECT user_id, day, 1 AS users FROM moved
    UNION ALL
    SELECT user_id, day_before, -1 FROM moved
    WHERE day_before IS NOT NULL
),

days AS MATERIALIZED (
    SELECT c.day, c.number, sum(c.users) AS users
    FROM (
        SELECT day, 0 AS number, users FROM places
        UNION ALL
        SELECT p.day, u.day - p.day, p.users
        FROM places AS p
        CROSS JOIN LATERAL (
            SELECT s.day FROM rollup_users AS s
            WHERE s.event_type = '' AND s.user_id = p.user_id AND s.day > p.day AND s.day <= p.day + 30
            OFFSET 0
        ) AS u
        WHERE u.day - p.day IN (1, 7, 30)
    ) AS c
    GROUP BY c.day, c.number
)

INSERT INTO rollup_days AS d (day, kind, number, users)
SELECT s.day, 'cohort', s.number, s.users FROM days AS s
WHERE
    s.users <> 0
    AND EXISTS (SELECT FROM rollup_days AS k WHERE k.day = s.day AND k.kind = 'cohort' AND k.number = 0 OFFSET 0)
ON CONFLICT (day, kind, number) DO UPDATE SET users = d.users + excluded.users
