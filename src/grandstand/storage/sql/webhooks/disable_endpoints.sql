WITH disabled AS (
    UPDATE webhook_endpoints SET disabled_at = now() WHERE endpoint_id = ANY($1::uuid []) AND disabled_at IS NULL
)

UPDATE webhook_deliveries
SET status = 'dead', last_error = $2
WHERE endpoint_id = ANY($1::uuid []) AND status = 'pending'
