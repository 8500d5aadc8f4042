SELECT leaderboard_id, user_id, removed_at FROM removals WHERE removed_at >= $1
