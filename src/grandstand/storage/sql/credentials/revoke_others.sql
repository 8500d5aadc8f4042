UPDATE api_keys SET revoked_at = now()
WHERE kind = $1 AND name = $2 AND key_hash <> $3 AND revoked_at IS NULL
