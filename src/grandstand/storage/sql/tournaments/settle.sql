-- The step that makes a settlement happen once: it locks the occurrence until the transaction ends, and there is no row
-- when somebody else has taken the step, or the tournament was cancelled.
UPDATE occurrences SET status = 'settled', settled_at = $3
WHERE tournament_id = $1 AND occurrence = $2 AND status = 'ended'
RETURNING occurrence
