INSERT INTO api_keys (key_id, kind, name, key_hash, signing_key) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (key_hash) DO UPDATE SET revoked_at = NULL, name = EXCLUDED.name
