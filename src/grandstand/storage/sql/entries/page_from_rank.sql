SELECT user_id, score, achieved_at
FROM entries
WHERE ranking_id = $1
ORDER BY score * $2::bigint, achieved_at, user_id
OFFSET $3 LIMIT $4
