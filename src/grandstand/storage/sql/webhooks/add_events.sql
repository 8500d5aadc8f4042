-- An endpoint that is being deleted at this moment is left out, instead of failing the caller's transaction.
WITH new AS (
    SELECT * FROM unnest($1::uuid [], $2::text [], $3::text []) AS n (event_id, type, payload)
),

added AS (
    INSERT INTO webhook_events (event_id, type, payload)
    SELECT event_id, type, payload::jsonb FROM new
),

receiver AS (
    SELECT endpoint_id, event_types
    FROM webhook_endpoints
    WHERE disabled_at IS NULL AND (event_types = '{}' OR event_types && $2::text [])
    FOR KEY SHARE
)

INSERT INTO webhook_deliveries (event_id, endpoint_id)
SELECT new.event_id, receiver.endpoint_id
FROM new
INNER JOIN receiver ON receiver.event_types = '{}' OR new.type = ANY(receiver.event_types)
