UPDATE standings AS s SET user_id = $2
FROM occurrences AS o
WHERE s.tournament_id = o.tournament_id AND s.occurrence = o.occurrence AND s.user_id = $1 AND o.settled_at <= $3
