-- A stretch of old events in the order of ids. What waits for a replay stays longer than what was delivered.
WITH old AS (
    SELECT event_id, created_at
    FROM webhook_events
    WHERE event_id > $1 AND created_at < now() - make_interval(days => $2)
    ORDER BY event_id
    LIMIT $4
),

gone AS (
    DELETE FROM webhook_events AS event
    USING old
    WHERE
        event.event_id = old.event_id
        AND (
            old.created_at < now() - make_interval(days => $3)
            OR NOT EXISTS (
                SELECT FROM webhook_deliveries AS delivery
                WHERE delivery.event_id = old.event_id AND delivery.status <> 'delivered'
            )
        )
)

SELECT event_id FROM old ORDER BY event_id DESC LIMIT 1
