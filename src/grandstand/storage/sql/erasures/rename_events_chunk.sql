-- Events stay counted: when, and of which type. What they said goes.
WITH chunk AS (
    SELECT id, received_at FROM events
    WHERE user_id = $1 AND received_at <= $3
    LIMIT $4
)

UPDATE events AS e SET user_id = $2, payload = '{}'
FROM chunk AS s
WHERE e.id = s.id AND e.received_at = s.received_at
