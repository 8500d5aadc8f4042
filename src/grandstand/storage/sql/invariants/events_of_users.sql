-- In the order of users, so that each is read to the end before the next.
SELECT user_id, id, event_type, occurred_at, received_at, processed_at, payload::text AS payload
FROM events
WHERE user_id = ANY ($1::text [])
ORDER BY user_id
LIMIT $2
