SELECT to_jsonb(t)::text FROM (
    SELECT
        dead_letter_id AS id, event_id, event_type, occurred_at, received_at, status, error, message,
        encode(body, 'base64') AS body_base64
    FROM dead_letters
    WHERE user_id = $1
    ORDER BY dead_letter_id
) AS t
