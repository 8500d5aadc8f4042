SELECT 1 FROM rankings WHERE ranking_id = $1 FOR UPDATE
