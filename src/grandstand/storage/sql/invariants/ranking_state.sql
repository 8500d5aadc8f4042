SELECT count(*) AS entries, max(version) AS version FROM entries WHERE ranking_id = $1
