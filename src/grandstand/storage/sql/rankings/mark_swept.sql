UPDATE rankings SET is_swept = true WHERE ranking_id = $1
