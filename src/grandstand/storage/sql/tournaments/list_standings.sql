SELECT rank, user_id, score, achieved_at FROM standings
WHERE tournament_id = $1 AND occurrence = $2 AND rank BETWEEN $3 AND $4
ORDER BY rank
