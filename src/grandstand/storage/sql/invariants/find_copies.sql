SELECT id, count(*) AS copies, count(*) OVER () AS found
FROM events
WHERE id = ANY ($1::uuid [])
GROUP BY id
HAVING count(*) > 1
ORDER BY id
LIMIT $2
