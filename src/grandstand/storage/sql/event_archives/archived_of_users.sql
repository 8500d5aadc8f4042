SELECT DISTINCT u.user_id
FROM archived_users AS u
INNER JOIN event_archives AS a ON u.archive_id = a.archive_id
WHERE a.state IN ('detached', 'dropped') AND u.user_id = ANY ($1::text [])
