DELETE FROM operator_sessions WHERE name = $1
