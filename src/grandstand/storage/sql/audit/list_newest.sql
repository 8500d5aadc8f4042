SELECT audit_id, recorded_at, actor, address, action, target, before::text AS before, after::text AS after
FROM audit_log
WHERE
    audit_id < $1
    AND ($2::text IS NULL OR actor = $2)
    AND ($3::text IS NULL OR action = $3)
    AND ($4::text IS NULL OR target = $4)
    AND ($5::timestamptz IS NULL OR recorded_at >= $5)
    AND ($6::timestamptz IS NULL OR recorded_at < $6)
ORDER BY audit_id DESC
LIMIT $7
