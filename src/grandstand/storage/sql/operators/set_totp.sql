UPDATE operators SET totp_secret = $2, totp_step = $3 WHERE name = $1
