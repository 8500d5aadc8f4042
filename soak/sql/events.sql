-- Stored events with these ids, each row as often as it is there.
SELECT id::text, user_id, event_type, occurred_at, received_at, payload::text
FROM events WHERE id = ANY($1::uuid [])
