SELECT
    delivery.event_id, delivery.endpoint_id, event.type, delivery.status, delivery.attempts,
    CASE WHEN delivery.status = 'pending' THEN delivery.next_attempt_at END AS next_attempt_at,
    delivery.last_status, delivery.last_error, event.created_at, delivery.delivered_at
FROM webhook_deliveries AS delivery
INNER JOIN webhook_events AS event ON delivery.event_id = event.event_id
WHERE
    ($1::text IS NULL OR delivery.status = $1)
    AND ($2::uuid IS NULL OR delivery.endpoint_id = $2)
    AND (delivery.event_id, delivery.endpoint_id) < ($3::uuid, $4::uuid)
ORDER BY delivery.event_id DESC, delivery.endpoint_id DESC
LIMIT $5
