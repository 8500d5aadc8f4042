-- Ends those of some running occurrences that are over by $3. In the order in which batches lock occurrences (that of
-- boards): whoever locks several at once cannot deadlock with them.
WITH due AS (
    SELECT o.tournament_id, o.occurrence
    FROM unnest($1::text [], $2::integer []) AS d (tournament_id, occurrence)
    INNER JOIN occurrences AS o ON d.tournament_id = o.tournament_id AND d.occurrence = o.occurrence
    INNER JOIN tournaments AS t ON o.tournament_id = t.tournament_id
    WHERE o.status = 'active' AND o.ends_at <= $3
    ORDER BY t.leaderboard_id, o.starts_at
    FOR NO KEY UPDATE OF o
)

UPDATE occurrences AS o SET status = 'ended'
FROM due AS d
WHERE o.tournament_id = d.tournament_id AND o.occurrence = d.occurrence
RETURNING o.tournament_id, o.occurrence
