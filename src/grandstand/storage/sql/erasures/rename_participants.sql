-- The place stays taken. Of the attempts nothing can be told any more.
UPDATE participants AS p SET user_id = $2, attempts = 0
FROM occurrences AS o
WHERE p.tournament_id = o.tournament_id AND p.occurrence = o.occurrence AND p.user_id = $1 AND p.joined_at <= $3
