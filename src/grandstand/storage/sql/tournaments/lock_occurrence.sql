SELECT status, players, starts_at, ends_at FROM occurrences
WHERE tournament_id = $1 AND occurrence = $2
FOR UPDATE
