-- Which of some events do not count on which of some boards because they were found impossible, and how that stands.
SELECT event_id, leaderboard_id, reason, status
FROM quarantine JOIN unnest($1::uuid[], $2::bigint[]) AS asked (event_id, leaderboard_id) USING (event_id, leaderboard_id)
WHERE NOT counts
