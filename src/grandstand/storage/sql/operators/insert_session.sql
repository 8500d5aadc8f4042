INSERT INTO operator_sessions (session_hash, name, created_at, expires_at, seen_at, address)
VALUES ($1, $2, $3, $4, $3, $5)
