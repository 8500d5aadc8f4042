SELECT s.session_hash, o.name, o.role, s.seen_at
FROM operator_sessions AS s
JOIN operators AS o ON o.name = s.name
WHERE s.session_hash = ANY($1) AND s.expires_at > $2 AND s.seen_at > $3 AND o.disabled_at IS NULL
