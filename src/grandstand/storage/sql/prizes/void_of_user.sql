-- In the order of ids, like everything that changes several prizes: two that do it at once cannot deadlock.
WITH held AS (
    SELECT prize_id FROM prizes
    WHERE user_id = $1 AND status = 'pending'
    ORDER BY prize_id
    FOR UPDATE
)

UPDATE prizes AS p SET status = 'voided', voided_at = $2
FROM held AS h
WHERE p.prize_id = h.prize_id
RETURNING p.prize_id
