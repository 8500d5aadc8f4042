-- An endpoint that is being deleted at this moment is left out, instead of failing the caller's transaction. What happens
-- while one is disabled waits as dead for a replay, as what it gave up does; not for ever for one that nobody enables.
WITH new AS (
    SELECT * FROM unnest($1::uuid [], $2::text [], $3::text []) AS n (event_id, type, payload)
),

added AS (
    INSERT INTO webhook_events (event_id, type, payload)
    SELECT event_id, type, payload::jsonb FROM new
),

receiver AS (
    SELECT endpoint_id, event_types, disabled_at
    FROM webhook_endpoints
    WHERE
        (disabled_at IS NULL OR disabled_at > now() - make_interval(days => $4))
        AND (event_types = '{}' OR event_types && $2::text [])
    FOR KEY SHARE
)

INSERT INTO webhook_deliveries (event_id, endpoint_id, status, last_error)
SELECT
    new.event_id,
    receiver.endpoint_id,
    CASE WHEN receiver.disabled_at IS NULL THEN 'pending' ELSE 'dead' END,
    CASE WHEN receiver.disabled_at IS NOT NULL THEN 'the endpoint was disabled' END
FROM new
INNER JOIN receiver ON receiver.event_types = '{}' OR new.type = ANY(receiver.event_types)
