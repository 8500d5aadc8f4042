UPDATE operators SET totp_step = $2 WHERE name = $1 AND totp_step < $2 RETURNING name
