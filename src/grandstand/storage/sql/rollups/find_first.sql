-- A user's first event among those that are stored.
INSERT INTO first_events (user_id, occurred_at, event_id, event_type, payload)
SELECT user_id, occurred_at, id, event_type, payload FROM events
WHERE user_id = $1
ORDER BY occurred_at, id
LIMIT 1
ON CONFLICT (user_id) DO NOTHING
