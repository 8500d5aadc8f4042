-- Takes back the occurrences that are scheduled after one, with those who have entered them.
WITH ahead AS (
    DELETE FROM occurrences WHERE tournament_id = $1 AND occurrence > $2 AND status = 'scheduled'
    RETURNING tournament_id, occurrence
)

DELETE FROM participants AS p
USING ahead AS a
WHERE p.tournament_id = a.tournament_id AND p.occurrence = a.occurrence
