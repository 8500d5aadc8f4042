SELECT user_id, bucket FROM bucket_members WHERE ranking_id = $1 AND user_id = ANY ($2::text [])
