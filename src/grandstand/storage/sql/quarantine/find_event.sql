-- The event of a row, and whether it was stored before the epoch in force of the board began to count.
SELECT
    e.payload::text AS payload,
    coalesce(e.processed_at < l.counts_since, false) AS is_before_rule
FROM events AS e
CROSS JOIN leaderboards AS l
WHERE e.id = $1 AND e.received_at = $2 AND l.leaderboard_id = $3
