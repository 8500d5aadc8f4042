SELECT rank, user_id, score, achieved_at, metadata
FROM archived_entries
WHERE ranking_id = $1 AND rank >= $2
ORDER BY rank
LIMIT $3
