-- Keeps the first events of users; the payload is read only of those that are first so far.
INSERT INTO first_events AS f (user_id, occurred_at, event_id, event_type, payload)
SELECT c.user_id, c.occurred_at, c.event_id, e.event_type, e.payload
FROM unnest($1::text [], $2::timestamptz [], $3::uuid []) AS c (user_id, occurred_at, event_id)
LEFT JOIN first_events AS k ON c.user_id = k.user_id
INNER JOIN events AS e ON c.event_id = e.id
WHERE k.user_id IS NULL OR (c.occurred_at, c.event_id) < (k.occurred_at, k.event_id)
ON CONFLICT (user_id) DO UPDATE SET
    occurred_at = excluded.occurred_at, event_id = excluded.event_id, event_type = excluded.event_type,
    payload = excluded.payload
