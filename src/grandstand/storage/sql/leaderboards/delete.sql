UPDATE leaderboards SET deleted_at = now(), updated_at = now(), revision = $2 WHERE leaderboard_id = $1
