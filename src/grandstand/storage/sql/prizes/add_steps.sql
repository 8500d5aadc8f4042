INSERT INTO prize_steps (prize_id, status, at, actor, reason)
SELECT p.prize_id, $2, $3, $4, $5 FROM unnest($1::uuid []) AS p (prize_id)
