INSERT INTO operators (name, role, password_hash, created_at, created_by)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (name) DO NOTHING
RETURNING name
