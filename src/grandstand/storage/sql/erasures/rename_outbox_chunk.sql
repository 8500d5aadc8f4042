-- In events behind $3; returns the last one looked at, null when there was none. Values are renamed; a key of the same
-- letters (no text holds the character 1) stays.
WITH chunk AS (
    SELECT event_id FROM webhook_events
    WHERE event_id > $3
    ORDER BY event_id
    LIMIT $4
),

renamed AS (
    UPDATE webhook_events AS e
    SET payload = replace(
        replace(
            replace(e.payload::text, to_json($1::text)::text || ':', chr(1)),
            to_json($1::text)::text, to_json($2::text)::text
        ),
        chr(1), to_json($1::text)::text || ':'
    )::jsonb
    FROM chunk AS s
    WHERE e.event_id = s.event_id AND position(to_json($1::text)::text IN e.payload::text) > 0
)

SELECT event_id FROM chunk ORDER BY event_id DESC LIMIT 1
