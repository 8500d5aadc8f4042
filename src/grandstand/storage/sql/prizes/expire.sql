-- In the order of ids, like everything that changes several prizes: two that do it at once cannot deadlock.
WITH due AS (
    SELECT prize_id FROM prizes
    WHERE status = 'pending' AND expires_at <= $1
    ORDER BY prize_id
    LIMIT $2
    FOR UPDATE
)

UPDATE prizes AS p SET status = 'expired'
FROM due AS d
WHERE p.prize_id = d.prize_id
RETURNING p.prize_id
