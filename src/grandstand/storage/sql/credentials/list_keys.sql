-- Keys behind one, the oldest first; $1 NULL begins. Keys are never deleted, so what a cursor names is there.
SELECT key_id, kind, name, scopes, created_at, created_by, expires_at, last_used_at, revoked_at
FROM api_keys
WHERE
    $1::text IS NULL
    OR (created_at, key_id) > (SELECT k.created_at, k.key_id FROM api_keys AS k WHERE k.key_id = $1)
ORDER BY created_at, key_id
LIMIT $2
