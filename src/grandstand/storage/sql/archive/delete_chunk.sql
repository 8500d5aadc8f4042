DELETE FROM archived_entries
WHERE ranking_id = $1 AND rank IN (SELECT rank FROM archived_entries WHERE ranking_id = $1 ORDER BY rank LIMIT $2)
