-- Another process that archives the same ranking waits here and then finds it archived.
SELECT 1 FROM rankings WHERE ranking_id = $1 AND state = 'closed' FOR NO KEY UPDATE
