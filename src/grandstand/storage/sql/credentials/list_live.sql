SELECT key_id, kind, name, key_hash, signing_key, scopes, expires_at
FROM api_keys
WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $1)
