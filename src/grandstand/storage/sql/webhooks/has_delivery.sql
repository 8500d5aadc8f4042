SELECT EXISTS (SELECT FROM webhook_deliveries WHERE event_id = $1 AND endpoint_id = $2)
