SELECT id, count(*) AS copies, count(*) OVER () AS found
FROM events
GROUP BY id
HAVING count(*) > 1
ORDER BY id
LIMIT $1
