SELECT rank, user_id, score FROM standings WHERE tournament_id = $1 ORDER BY rank
