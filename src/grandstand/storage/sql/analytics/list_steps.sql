-- Events of the types $1 that occurred in [$2, $3), user by user in the order of time.
SELECT user_id, event_type, occurred_at FROM events
WHERE
    event_type = ANY ($1::text []) AND occurred_at >= $2 AND occurred_at < $3
    AND received_at >= $2::timestamptz - interval '1 day'
ORDER BY user_id, occurred_at
