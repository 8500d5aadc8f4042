SELECT count(*) FROM entries WHERE ranking_id = $1
