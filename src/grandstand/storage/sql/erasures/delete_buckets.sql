DELETE FROM bucket_members AS m
USING rankings AS r
WHERE m.ranking_id = r.ranking_id AND m.user_id = $1
