-- Events that are in the table, though the files of an archive speak for them.
SELECT e.id, a.archive_id, count(*) OVER () AS found
FROM events AS e
INNER JOIN archived_ids AS a ON e.id = a.id
INNER JOIN event_archives AS r ON a.archive_id = r.archive_id
WHERE r.state IN ('detached', 'dropped')
ORDER BY e.id
LIMIT $1
