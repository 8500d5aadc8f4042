UPDATE leases SET expires_at = '-infinity' WHERE name = $1 AND token = $2
