SELECT ranking_id FROM leaderboards WHERE deleted_at IS NOT NULL AND NOT is_swept ORDER BY leaderboard_id
