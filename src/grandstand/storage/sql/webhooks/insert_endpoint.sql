INSERT INTO webhook_endpoints (endpoint_id, url, description, secret, event_types)
SELECT $1, $2, $3, $4, $5
WHERE (SELECT count(*) FROM webhook_endpoints) < $6
RETURNING endpoint_id, url, description, event_types, created_at, disabled_at
