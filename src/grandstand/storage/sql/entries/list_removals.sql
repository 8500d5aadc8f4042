SELECT user_id, removed_at FROM removals WHERE leaderboard_id = $1
