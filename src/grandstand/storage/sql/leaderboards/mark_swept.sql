UPDATE leaderboards SET is_swept = true WHERE ranking_id = $1
