UPDATE occurrences SET definition = $3::jsonb WHERE tournament_id = $1 AND occurrence = $2
