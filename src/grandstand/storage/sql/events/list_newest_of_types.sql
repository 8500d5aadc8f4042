-- Stored events of some types before a place, the newest first: the newest of each type by its index, then of all.
SELECT m.id, m.received_at, m.occurred_at, m.processed_at, m.event_type, m.user_id, m.payload::text AS payload
FROM (
    SELECT n.*
    FROM unnest($3::text []) AS t (event_type)
    CROSS JOIN LATERAL (
        SELECT e.id, e.received_at, e.occurred_at, e.processed_at, e.event_type, e.user_id, e.payload
        FROM events AS e
        WHERE
            (e.received_at, e.id) < ($1, $2::uuid)
            AND e.received_at <= $1
            AND e.event_type = t.event_type
            AND ($4::timestamptz IS NULL OR e.received_at >= $4)
            AND ($5::timestamptz IS NULL OR e.received_at < $5)
        ORDER BY e.received_at DESC, e.id DESC
        LIMIT $6
    ) AS n
    ORDER BY n.received_at DESC, n.id DESC
    LIMIT $6
) AS m
ORDER BY m.received_at DESC, m.id DESC
