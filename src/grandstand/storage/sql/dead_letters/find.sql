SELECT
    dead_letter_id, form, event_id, event_type, user_id, occurred_at, received_at, priority, events, error, message,
    attempts, first_failed_at, last_failed_at, status, replayed_at, body
FROM dead_letters
WHERE dead_letter_id = $1
