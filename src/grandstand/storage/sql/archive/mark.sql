UPDATE rankings SET state = 'archived', total = $2 WHERE ranking_id = $1
