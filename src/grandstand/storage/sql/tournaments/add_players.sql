UPDATE occurrences SET players = players + $3 WHERE tournament_id = $1 AND occurrence = $2
