SELECT o.tournament_id, o.occurrence, o.players, count(p.user_id) AS entered, count(*) OVER () AS found
FROM occurrences AS o
LEFT JOIN participants AS p ON o.tournament_id = p.tournament_id AND o.occurrence = p.occurrence
GROUP BY o.tournament_id, o.occurrence
HAVING o.players <> count(p.user_id)
ORDER BY o.tournament_id, o.occurrence
LIMIT $1
