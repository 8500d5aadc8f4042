-- The first event goes to the pseudonym, emptied, unless it was received after $3.
UPDATE first_events AS f SET user_id = $2, payload = '{}'
WHERE f.user_id = $1
    AND NOT EXISTS (SELECT FROM events AS e WHERE e.id = f.event_id AND e.user_id = $1 AND e.received_at > $3)
