SELECT endpoint_id, url, description, event_types, created_at, disabled_at
FROM webhook_endpoints
ORDER BY endpoint_id
