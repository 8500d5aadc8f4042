-- What was kept apart goes on not to count, under the pseudonym: nothing that nobody decided on is released any more.
UPDATE quarantine SET
    user_id = $2,
    status = CASE WHEN status = 'held' THEN 'rejected' ELSE status END,
    decided_at = coalesce(decided_at, $3)
WHERE user_id = $1 AND received_at <= $3
