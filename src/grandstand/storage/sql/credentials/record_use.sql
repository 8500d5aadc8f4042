UPDATE api_keys SET last_used_at = $2
WHERE key_id = ANY ($1::text []) AND (last_used_at IS NULL OR last_used_at < $2)
