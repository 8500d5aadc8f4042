-- Every stored event of some types, in no order: a replay's folds do not mind.
SELECT id, event_type, user_id, occurred_at, received_at, payload::text AS payload
FROM events
WHERE event_type = ANY ($1::text [])
