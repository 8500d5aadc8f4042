SELECT s.user_id
FROM (SELECT DISTINCT user_id FROM participants TABLESAMPLE SYSTEM ($1) REPEATABLE ($2)) AS s
ORDER BY md5(s.user_id || $3::text), s.user_id
LIMIT $4
