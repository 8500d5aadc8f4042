-- From here on the occurrence has rules of its own.
UPDATE occurrences AS o SET status = 'active', definition = t.definition
FROM tournaments AS t
WHERE o.tournament_id = $1 AND o.occurrence = $2 AND o.status = 'scheduled' AND t.tournament_id = o.tournament_id
RETURNING o.occurrence
