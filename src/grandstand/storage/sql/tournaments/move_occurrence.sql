UPDATE occurrences SET starts_at = $3, ends_at = $4, is_moved = true
WHERE tournament_id = $1 AND occurrence = $2
