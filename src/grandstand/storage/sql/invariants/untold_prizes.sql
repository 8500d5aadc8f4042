-- Prizes awarded since $1 of which the outbox has no event with an id from $2 on.
SELECT p.prize_id, count(*) OVER () AS found
FROM prizes AS p
LEFT JOIN webhook_events AS e
    ON e.event_id >= $2 AND e.type = 'prize.awarded' AND e.payload ->> 'prize_id' = p.prize_id::text
WHERE p.awarded_at >= $1 AND p.prize_id >= $2 AND e.event_id IS NULL
ORDER BY p.prize_id
LIMIT $3
