-- In entries behind $3; returns the last one looked at, null when there was none. Of what was done to the player or by
-- the player, the values go, too, and words that people wrote about a prize. Elsewhere the id may stand as a value of its
-- own; a key of the same letters (no text holds the character 1) stays.
WITH allowed AS (
    SELECT set_config('grandstand.erasing', 'on', true) AS setting
),

chunk AS (
    SELECT a.audit_id FROM audit_log AS a
    INNER JOIN allowed AS w ON w.setting = 'on'
    WHERE a.audit_id > $3
    ORDER BY a.audit_id
    LIMIT $4
),

renamed AS (
    UPDATE audit_log AS a SET
        target = CASE WHEN a.target = $1::text THEN $2::text ELSE a.target END,
        actor = CASE WHEN a.actor = 'player:' || $1::text THEN 'player:' || $2::text ELSE a.actor END,
        address = CASE WHEN a.actor = 'player:' || $1::text THEN NULL ELSE a.address END,
        before = CASE
            WHEN a.target <> $1::text
                THEN replace(
                    replace(
                        replace(a.before::text, to_json($1::text)::text || ':', chr(1)),
                        to_json($1::text)::text, to_json($2::text)::text
                    ),
                    chr(1), to_json($1::text)::text || ':'
                )::jsonb
        END,
        after = CASE
            WHEN a.target <> $1::text
                THEN replace(
                    replace(
                        replace(
                            CASE WHEN a.action = 'prize.void' THEN a.after - 'reason' ELSE a.after END::text,
                            to_json($1::text)::text || ':', chr(1)
                        ),
                        to_json($1::text)::text, to_json($2::text)::text
                    ),
                    chr(1), to_json($1::text)::text || ':'
                )::jsonb
        END
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
