INSERT INTO first_events (user_id, occurred_at, event_id, event_type, payload)
SELECT DISTINCT ON (user_id) user_id, occurred_at, id, event_type, payload FROM events
ORDER BY user_id, occurred_at, id
