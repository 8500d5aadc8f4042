SELECT to_jsonb(t)::text FROM (
    SELECT id, event_type, occurred_at, received_at, payload
    FROM events
    WHERE user_id = $1
    ORDER BY received_at, id
) AS t
