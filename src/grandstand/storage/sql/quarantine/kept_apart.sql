-- On which boards some events do not count because they were found impossible, and how that stands.
SELECT event_id, leaderboard_id, reason, status
FROM quarantine
WHERE event_id = ANY($1::uuid[]) AND NOT counts
LIMIT $2
