-- The oldest first; what somebody else replays right now is theirs.
SELECT
    dead_letter_id, form, event_id, event_type, user_id, occurred_at, received_at, priority, events, error, message,
    attempts, first_failed_at, last_failed_at, status, replayed_at, body
FROM dead_letters
WHERE
    status = 'dead'
    AND ($1::text IS NULL OR event_type = $1)
    AND ($2::text IS NULL OR user_id = $2)
    AND ($3::text IS NULL OR error = $3)
    AND last_failed_at < $4
ORDER BY dead_letter_id
LIMIT $5
FOR UPDATE SKIP LOCKED
