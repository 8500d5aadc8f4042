SELECT s.id
FROM (SELECT id FROM events TABLESAMPLE SYSTEM ($1) REPEATABLE ($2)) AS s
ORDER BY md5(s.id::text || $3::text)
LIMIT $4
