SELECT definition FROM rankings WHERE ranking_id = $1
