-- Also when it has expired: while the token stands, nobody else has had it since.
UPDATE leases
SET expires_at = clock_timestamp() + make_interval(secs => $3)
WHERE name = $1 AND token = $2
RETURNING token
