-- In entries behind $3; returns the last one looked at, null when there was none. The guard of the table lets nothing pass
-- but what `audit_entry_without` makes of an entry for an erasure that is under way.
WITH chunk AS (
    SELECT audit_id FROM audit_log
    WHERE audit_id > $3
    ORDER BY audit_id
    LIMIT $4
),

renamed AS (
    UPDATE audit_log AS a
    SET (actor, address, target, before, after) = (
        SELECT w.actor, w.address, w.target, w.before, w.after
        FROM audit_entry_without(a, $1::text, $2::text) AS w
    )
    FROM chunk AS s
    WHERE
        a.audit_id = s.audit_id
        AND (
            a.target = $1::text OR a.actor = 'player:' || $1::text
            OR position(to_json($1::text)::text IN a.before::text) > 0
            OR position(to_json($1::text)::text IN a.after::text) > 0
        )
)

SELECT max(audit_id) FROM chunk
