-- A key that ends sooner keeps its end.
UPDATE api_keys SET expires_at = least(expires_at, $2) WHERE key_id = $1
