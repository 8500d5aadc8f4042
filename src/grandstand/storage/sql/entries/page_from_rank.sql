SELECT user_id, score, tie_key, achieved_at, metadata
FROM entries
WHERE ranking_id = $1
ORDER BY score * $2::bigint, tie_key, achieved_at, user_id
OFFSET $3 LIMIT $4
