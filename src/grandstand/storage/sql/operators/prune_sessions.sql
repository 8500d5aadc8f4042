DELETE FROM operator_sessions WHERE expires_at <= $1
