SELECT key_id, kind, name, key_hash, signing_key FROM api_keys WHERE revoked_at IS NULL
