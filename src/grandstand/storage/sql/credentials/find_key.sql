SELECT key_id, kind, name, scopes, created_at, created_by, expires_at, last_used_at, revoked_at
FROM api_keys
WHERE key_id = $1
