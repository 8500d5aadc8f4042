DELETE FROM plausibility_minutes
WHERE ctid = ANY (ARRAY(SELECT ctid FROM plausibility_minutes WHERE touched_at < $1 LIMIT $2))
