SELECT disabled_at IS NOT NULL FROM webhook_endpoints WHERE endpoint_id = $1
