-- What was done to the player and by the player; which key or address did it is no business of theirs.
SELECT to_jsonb(t)::text FROM (
    SELECT recorded_at, split_part(actor, ':', 1) AS actor, action, target, before, after
    FROM audit_log
    WHERE target = $1 OR actor = 'player:' || $1
    ORDER BY audit_id
) AS t
