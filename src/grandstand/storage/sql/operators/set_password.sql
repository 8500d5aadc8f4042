UPDATE operators SET password_hash = $2 WHERE name = $1
