SELECT status, players FROM occurrences
WHERE tournament_id = $1 AND occurrence = $2
FOR UPDATE
