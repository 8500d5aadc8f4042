-- Takes a player out of every occurrence that is not settled; the place is free again. Needs the ledger alone.
WITH gone AS (
    DELETE FROM participants AS p
    USING occurrences AS o
    WHERE
        p.user_id = $1 AND o.tournament_id = p.tournament_id AND o.occurrence = p.occurrence
        AND o.status IN ('scheduled', 'active', 'ended')
    RETURNING p.tournament_id, p.occurrence
)

UPDATE occurrences AS o SET players = o.players - 1
FROM gone AS g
WHERE o.tournament_id = g.tournament_id AND o.occurrence = g.occurrence
