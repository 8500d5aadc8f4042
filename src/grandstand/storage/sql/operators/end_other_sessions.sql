DELETE FROM operator_sessions WHERE name = $1 AND session_hash <> $2
