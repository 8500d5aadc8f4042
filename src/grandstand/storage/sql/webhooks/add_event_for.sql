WITH receiver AS (
    SELECT endpoint_id FROM webhook_endpoints WHERE endpoint_id = $4 AND disabled_at IS NULL FOR KEY SHARE
),

added AS (
    INSERT INTO webhook_events (event_id, type, payload)
    SELECT $1, $2, $3::jsonb FROM receiver
    RETURNING event_id
)

INSERT INTO webhook_deliveries (event_id, endpoint_id)
SELECT added.event_id, receiver.endpoint_id
FROM added
CROSS JOIN receiver
RETURNING event_id
