-- What of some users' events does not count on a board.
SELECT user_id, event_id, leaderboard_id FROM quarantine WHERE user_id = ANY ($1::text []) AND NOT counts
