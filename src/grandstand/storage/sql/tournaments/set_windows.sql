UPDATE leaderboards SET windows = $2::jsonb, revision = $3, updated_at = now() WHERE leaderboard_id = $1
