SELECT rank, user_id, rule, kind, amount FROM prizes
WHERE tournament_id = $1 AND occurrence = $2
ORDER BY rule, rank
LIMIT $3
