SELECT s.tournament_id, s.occurrence, o.status, count(*) OVER () AS found
FROM (SELECT DISTINCT tournament_id, occurrence FROM standings) AS s
LEFT JOIN occurrences AS o ON s.tournament_id = o.tournament_id AND s.occurrence = o.occurrence
WHERE o.status IS DISTINCT FROM 'settled'
ORDER BY s.tournament_id, s.occurrence
LIMIT $1
