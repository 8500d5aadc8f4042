-- One row, held until the transaction ends.
SELECT
    q.quarantine_id, q.event_id, q.leaderboard_id, l.key, q.user_id, q.event_type, q.score, q.occurred_at, q.received_at,
    q.reason, q.status, q.quarantined_at, q.decided_at, q.counts, q.unranked_reason
FROM quarantine AS q
INNER JOIN leaderboards AS l ON q.leaderboard_id = l.leaderboard_id
WHERE q.quarantine_id = $1 AND l.deleted_at IS NULL
FOR UPDATE OF q
