SELECT
    dead_letter_id, form, event_id, event_type, user_id, occurred_at, received_at, priority, events, error, message,
    attempts, first_failed_at, last_failed_at, status, replayed_at
FROM dead_letters
WHERE
    ($1::text IS NULL OR status = $1)
    AND ($2::text IS NULL OR event_type = $2)
    AND ($3::text IS NULL OR user_id = $3)
    AND ($4::text IS NULL OR error = $4)
    AND dead_letter_id < $5
ORDER BY dead_letter_id DESC
LIMIT $6
