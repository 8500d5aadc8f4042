SELECT rank, user_id, score, achieved_at, metadata
FROM archived_entries
WHERE ranking_id = $1 AND user_id = ANY ($2::text [])
ORDER BY rank
