SELECT day FROM (SELECT (start AT TIME ZONE 'UTC')::date AS day FROM rollups WHERE grain = 'day' AND event_type = '') AS d
ORDER BY md5(day::text || $1::text), day
LIMIT $2
