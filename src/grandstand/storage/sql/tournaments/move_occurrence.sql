UPDATE occurrences SET starts_at = $3, ends_at = $4
WHERE tournament_id = $1 AND occurrence = $2
