DELETE FROM operator_sessions WHERE session_hash = $1
