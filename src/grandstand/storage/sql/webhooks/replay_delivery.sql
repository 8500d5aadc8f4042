UPDATE webhook_deliveries AS delivery
SET status = 'pending', attempts = 0, next_attempt_at = now(), delivered_at = NULL
FROM webhook_endpoints AS endpoint, webhook_events AS event
WHERE
    delivery.event_id = $1
    AND delivery.endpoint_id = $2
    AND endpoint.endpoint_id = delivery.endpoint_id
    AND endpoint.disabled_at IS NULL
    AND event.event_id = delivery.event_id
RETURNING
    delivery.event_id, delivery.endpoint_id, event.type, delivery.status, delivery.attempts,
    delivery.next_attempt_at, delivery.last_status, delivery.last_error, event.created_at, delivery.delivered_at
