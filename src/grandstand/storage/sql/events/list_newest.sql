-- Stored events before a place, the newest first. One of $3 and $4 at least is given: there is an index for each.
SELECT e.id, e.received_at, e.occurred_at, e.processed_at, e.event_type, e.user_id, e.payload::text AS payload
FROM events AS e
WHERE
    (e.received_at, e.id) < ($1, $2::uuid)
    AND e.received_at <= $1
    AND ($3::text IS NULL OR e.user_id = $3)
    AND ($4::text IS NULL OR e.event_type = $4)
    AND ($5::timestamptz IS NULL OR e.received_at >= $5)
    AND ($6::timestamptz IS NULL OR e.received_at < $6)
ORDER BY e.received_at DESC, e.id DESC
LIMIT $7
