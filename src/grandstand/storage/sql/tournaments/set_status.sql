-- Takes one step; nothing happens unless the occurrence is in the state that the step begins in.
UPDATE occurrences SET status = $4
WHERE tournament_id = $1 AND occurrence = $2 AND status = $3
RETURNING occurrence
