-- A batch of what is due for each endpoint that is not busy, so that none stands in the way of another. What is claimed
-- is due again when the claim has run out, should its dispatcher be gone by then.
WITH due AS MATERIALIZED (
    SELECT pending.event_id, pending.endpoint_id, endpoint.url, endpoint.secret
    FROM webhook_endpoints AS endpoint
    CROSS JOIN LATERAL (
        SELECT delivery.event_id, delivery.endpoint_id
        FROM webhook_deliveries AS delivery
        WHERE
            delivery.endpoint_id = endpoint.endpoint_id
            AND delivery.status = 'pending'
            AND delivery.next_attempt_at <= now()
        ORDER BY delivery.next_attempt_at
        LIMIT $2
        FOR UPDATE SKIP LOCKED
    ) AS pending
    WHERE endpoint.disabled_at IS NULL AND endpoint.endpoint_id <> ALL($1::uuid [])
)

UPDATE webhook_deliveries AS delivery
SET next_attempt_at = now() + make_interval(secs => $3)
FROM due
INNER JOIN webhook_events AS event ON due.event_id = event.event_id
WHERE delivery.event_id = due.event_id AND delivery.endpoint_id = due.endpoint_id
RETURNING
    delivery.event_id, delivery.endpoint_id, delivery.attempts,
    due.url, due.secret, event.type, event.payload::text, event.created_at
