UPDATE quarantine
SET status = $2, decided_at = $3, counts = $4, unranked_reason = $5
WHERE quarantine_id = $1
