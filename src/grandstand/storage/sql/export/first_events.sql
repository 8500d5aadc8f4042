SELECT to_jsonb(t)::text FROM (
    SELECT event_id AS id, event_type, occurred_at, payload FROM first_events
    WHERE user_id = $1
) AS t
