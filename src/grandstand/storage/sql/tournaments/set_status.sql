-- Takes one step; nothing happens unless the occurrence is in the state that the step begins in.
UPDATE occurrences SET status = $4, settled_at = CASE WHEN $4 = 'settled' THEN $5::timestamptz END
WHERE tournament_id = $1 AND occurrence = $2 AND status = $3
RETURNING occurrence
