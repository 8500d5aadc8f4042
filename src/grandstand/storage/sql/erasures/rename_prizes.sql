-- In the order of ids, like everything that changes several prizes: two that do it at once cannot deadlock.
WITH held AS (
    SELECT prize_id FROM prizes
    WHERE user_id = $1 AND awarded_at <= $3
    ORDER BY prize_id
    FOR UPDATE
)

UPDATE prizes AS p SET user_id = $2, claim_key = NULL
FROM held AS h
WHERE p.prize_id = h.prize_id
RETURNING p.prize_id
