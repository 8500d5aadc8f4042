-- What is a dead letter already keeps its id and body, and is dead again.
INSERT INTO dead_letters (
    dead_letter_id, source, form, event_id, event_type, user_id, occurred_at, received_at, priority, events, body,
    error, message, attempts, first_failed_at, last_failed_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
ON CONFLICT (source) DO UPDATE SET
    received_at = excluded.received_at,
    error = excluded.error,
    message = excluded.message,
    attempts = excluded.attempts,
    last_failed_at = excluded.last_failed_at,
    status = 'dead',
    replayed_at = NULL
