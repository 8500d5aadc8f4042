DELETE FROM webhook_endpoints
WHERE endpoint_id = $1
RETURNING endpoint_id, url, description, event_types, created_at, disabled_at
