SELECT rank, user_id FROM standings WHERE tournament_id = $1 AND occurrence = $2
