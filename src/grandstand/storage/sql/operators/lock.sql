SELECT name, role, password_hash, totp_secret, totp_step, created_at, created_by, disabled_at
FROM operators
WHERE name = $1
FOR UPDATE
