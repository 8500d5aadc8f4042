SELECT f.file_id, f.name
FROM archive_files AS f
INNER JOIN event_archives AS a ON f.archive_id = a.archive_id
WHERE
    a.state IN ('detached', 'dropped')
    AND a.archive_id IN (SELECT archive_id FROM archived_users WHERE user_id = ANY ($1::text []))
ORDER BY f.day, f.file_id
