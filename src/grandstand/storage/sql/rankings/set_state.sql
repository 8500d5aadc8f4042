UPDATE rankings SET state = $2 WHERE ranking_id = ANY ($1::bigint [])
