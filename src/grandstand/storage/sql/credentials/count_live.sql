-- Those that stay: a key with an end is none to rely on.
SELECT count(*) FROM api_keys
WHERE kind = $1 AND key_id <> $2 AND revoked_at IS NULL AND expires_at IS NULL
