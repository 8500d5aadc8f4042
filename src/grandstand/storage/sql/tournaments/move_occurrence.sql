UPDATE occurrences SET starts_at = $3, ends_at = $4, is_moved = true, is_cut = is_cut OR $4 < ends_at
WHERE tournament_id = $1 AND occurrence = $2
