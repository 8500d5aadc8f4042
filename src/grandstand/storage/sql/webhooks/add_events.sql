-- An endpoint that is being deleted at this moment is left out, instead of failing the caller's transaction.
WITH added AS (
    INSERT INTO webhook_events (event_id, type, payload)
    SELECT new.event_id, $2, new.payload::jsonb
    FROM unnest($1::uuid [], $3::text []) AS new (event_id, payload)
),

receiver AS (
    SELECT endpoint_id
    FROM webhook_endpoints
    WHERE disabled_at IS NULL AND (event_types = '{}' OR $2 = ANY(event_types))
    FOR KEY SHARE
)

INSERT INTO webhook_deliveries (event_id, endpoint_id)
SELECT new.event_id, receiver.endpoint_id
FROM unnest($1::uuid []) AS new (event_id)
CROSS JOIN receiver
