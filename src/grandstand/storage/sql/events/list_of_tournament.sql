-- Events of some users that name a tournament and occurred in [$4, $5), in the order in which they arrived.
SELECT id, user_id, occurred_at, received_at, payload::text AS payload
FROM events
WHERE
    user_id = ANY ($1::text []) AND event_type = $2 AND payload ->> 'tournament_id' = $3
    AND occurred_at >= $4 AND occurred_at < $5 AND received_at >= $6 AND received_at < $7
ORDER BY received_at, occurred_at, id
