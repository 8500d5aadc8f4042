SELECT f.file_id, f.name
FROM archive_files AS f
INNER JOIN event_archives AS a ON f.archive_id = a.archive_id
WHERE a.state IN ('detached', 'dropped') AND f.event_type = ANY ($1::text [])
ORDER BY f.file_id
