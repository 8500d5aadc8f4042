-- In events behind $3; returns the last one looked at, null when there was none.
WITH chunk AS (
    SELECT event_id FROM webhook_events
    WHERE event_id > $3
    ORDER BY event_id
    LIMIT $4
),

renamed AS (
    UPDATE webhook_events AS e SET payload = json_with_other_text(e.payload, $1::text, $2::text)
    FROM chunk AS s
    WHERE e.event_id = s.event_id AND position(to_json($1::text)::text IN e.payload::text) > 0
)

SELECT event_id FROM chunk ORDER BY event_id DESC LIMIT 1
