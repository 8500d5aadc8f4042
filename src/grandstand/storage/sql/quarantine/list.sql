SELECT
    q.quarantine_id, q.event_id, q.leaderboard_id, l.key, q.user_id, q.event_type, q.score, q.occurred_at, q.received_at,
    q.reason, q.status, q.quarantined_at, q.decided_at, q.counts, q.unranked_reason
FROM quarantine AS q
INNER JOIN leaderboards AS l ON q.leaderboard_id = l.leaderboard_id
WHERE
    l.deleted_at IS NULL
    -- By the board's id, so that the index of its quarantine is used.
    AND (
        $1::text IS NULL
        OR q.leaderboard_id = (SELECT b.leaderboard_id FROM leaderboards AS b WHERE b.key = $1 AND b.deleted_at IS NULL)
    )
    AND ($2::text IS NULL OR q.user_id = $2)
    AND ($3::text IS NULL OR q.status = $3)
    AND q.quarantine_id < $4
ORDER BY q.quarantine_id DESC
LIMIT $5
