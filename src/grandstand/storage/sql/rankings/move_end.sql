UPDATE rankings SET ended_at = $4
WHERE leaderboard_id = $1 AND epoch = $2 AND started_at = $3 AND state = 'live'
