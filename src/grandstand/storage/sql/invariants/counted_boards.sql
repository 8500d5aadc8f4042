SELECT leaderboard_id, counts_since FROM leaderboards WHERE deleted_at IS NULL
