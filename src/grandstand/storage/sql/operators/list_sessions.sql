SELECT session_hash, created_at, expires_at, seen_at, address
FROM operator_sessions
WHERE name = $1 AND expires_at > $2 AND seen_at > $3
ORDER BY created_at DESC
LIMIT $4
