SELECT
    o.name, o.role, o.totp_secret IS NOT NULL AS has_totp, o.created_at, o.created_by, o.disabled_at,
    max(s.seen_at) AS seen_at,
    count(s.session_hash) FILTER (WHERE s.expires_at > $1) AS sessions
FROM operators AS o
LEFT JOIN operator_sessions AS s ON s.name = o.name
GROUP BY o.name
ORDER BY o.name
LIMIT $2
