SELECT event_id FROM quarantine WHERE leaderboard_id = $1 AND NOT counts
