DELETE FROM bucket_members
WHERE
    ranking_id = $1
    AND user_id IN (SELECT user_id FROM bucket_members WHERE ranking_id = $1 ORDER BY user_id LIMIT $2)
