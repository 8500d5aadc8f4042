UPDATE operators SET totp_secret = $2, totp_step = 0 WHERE name = $1
