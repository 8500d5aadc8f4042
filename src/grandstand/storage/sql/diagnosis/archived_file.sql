-- The smallest file of the newest archive that speaks for its events.
SELECT f.name
FROM archive_files AS f
INNER JOIN event_archives AS a ON f.archive_id = a.archive_id
WHERE a.state IN ('detached', 'dropped')
ORDER BY a.archive_id DESC, f.bytes
LIMIT 1
