-- Rows recorded from $2 to before $3, whoever did what. Ids follow the time but for the moment between a change and its commit:
-- the time, with an hour on either side, leads to ids, and the rows themselves say what was recorded then.
SELECT audit_id, recorded_at, actor, address, action, target, before::text AS before, after::text AS after
FROM audit_log
WHERE
    audit_id < least($1, (
        SELECT l.audit_id FROM audit_log AS l
        WHERE l.recorded_at >= $3::timestamptz + interval '1 hour'
        ORDER BY l.recorded_at, l.audit_id
        LIMIT 1
    ))
    AND audit_id > coalesce((
        SELECT e.audit_id FROM audit_log AS e
        WHERE e.recorded_at < $2::timestamptz - interval '1 hour'
        ORDER BY e.recorded_at DESC, e.audit_id DESC
        LIMIT 1
    ), 0)
    AND ($2::timestamptz IS NULL OR recorded_at >= $2)
    AND ($3::timestamptz IS NULL OR recorded_at < $3)
ORDER BY audit_id DESC
LIMIT $4
