SELECT f.file_id, f.name, f.events, f.checksum, f.sha256
FROM archive_files AS f
INNER JOIN event_archives AS a ON f.archive_id = a.archive_id
WHERE a.state IN ('detached', 'dropped')
ORDER BY f.file_id
