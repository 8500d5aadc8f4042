-- Keeps the first events of users among the queued batches $1; a payload is read only of those that are first so far.
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
)

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
