SELECT prize_id, user_id, rule, rank, kind, amount, metadata::text AS metadata
FROM prizes
WHERE tournament_id = $1 AND occurrence = $2
ORDER BY rule, rank
