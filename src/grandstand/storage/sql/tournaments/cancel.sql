UPDATE occurrences SET status = 'cancelled'
WHERE tournament_id = $1 AND status IN ('scheduled', 'active', 'ended')
