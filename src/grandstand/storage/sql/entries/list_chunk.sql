SELECT ranking_id, user_id, score, tie_key, achieved_at, metadata, version
FROM entries
WHERE ranking_id = $1 AND user_id > $2
ORDER BY user_id
LIMIT $3
