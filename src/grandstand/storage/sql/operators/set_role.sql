UPDATE operators SET role = $2 WHERE name = $1
