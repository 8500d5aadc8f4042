SELECT kind, count(*) AS prizes, sum(amount) AS amount FROM prizes
WHERE tournament_id = $1 AND occurrence = $2
GROUP BY kind
