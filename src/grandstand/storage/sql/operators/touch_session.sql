UPDATE operator_sessions SET seen_at = $2 WHERE session_hash = $1
