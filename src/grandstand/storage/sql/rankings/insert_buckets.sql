INSERT INTO bucket_members (ranking_id, user_id, bucket)
SELECT $1, m.user_id, m.bucket FROM unnest($2::text [], $3::integer []) AS m (user_id, bucket)
