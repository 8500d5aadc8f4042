INSERT INTO api_keys (key_id, kind, name, key_hash, signing_key, scopes, expires_at, created_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (key_hash) DO UPDATE SET revoked_at = NULL, expires_at = NULL, name = excluded.name
