-- Gives one rule's prize to the ranks of a range. The unique key makes a second time impossible.
INSERT INTO prizes (
    prize_id, tournament_id, occurrence, user_id, rule, rank, kind, amount, metadata, awarded_at, expires_at
)
SELECT uuidv7_of.prize_id, $1, $2, s.user_id, $3, s.rank, $6, $7, $8::jsonb, $9, $10
FROM standings AS s
INNER JOIN unnest($11::uuid []) WITH ORDINALITY AS uuidv7_of (prize_id, number) ON uuidv7_of.number = s.rank - $4 + 1
WHERE s.tournament_id = $1 AND s.occurrence = $2 AND s.rank BETWEEN $4 AND $5
RETURNING prize_id, user_id, tournament_id, occurrence, rule, rank, kind, amount, metadata, status, awarded_at,
    claimed_at, expires_at
