-- The rules of an occurrence are its own from its start on; before, they are the tournament's. Whether its end was moved
-- to an earlier time is known, so that scores from after it can be taken back.
ALTER TABLE occurrences
ADD COLUMN definition jsonb,
ADD COLUMN is_cut boolean NOT NULL DEFAULT false;

UPDATE occurrences AS o SET definition = t.definition
FROM tournaments AS t
WHERE o.tournament_id = t.tournament_id AND (o.status IN ('active', 'ended', 'settled') OR (
    o.status = 'cancelled' AND o.starts_at <= now()
));

-- A ranking is named by the start of its occurrence: no two share one, so none is paid for another's scores.
CREATE UNIQUE INDEX occurrences_by_start ON occurrences (tournament_id, starts_at);

-- Occurrences with their rules. Who may see a tournament, its title and what follows are the same for all of them.
CREATE VIEW tournament_occurrences AS
SELECT
    t.tournament_id,
    t.leaderboard_id,
    coalesce(o.definition, t.definition) || jsonb_build_object(
        'title', t.definition -> 'title', 'visibility', t.definition -> 'visibility', 'repeat', t.definition -> 'repeat'
    ) AS definition,
    t.created_at,
    o.occurrence,
    o.starts_at,
    o.ends_at,
    o.status,
    o.players,
    o.settled_at,
    o.is_cut,
    o.definition IS NOT NULL AS has_begun
FROM occurrences AS o
INNER JOIN tournaments AS t ON o.tournament_id = t.tournament_id;
