-- Erasures under way whose player has events in archives, from before the request.
SELECT e.erasure_id, e.user_id, e.pseudonym, e.requested_at, u.archive_id
FROM erasures AS e
INNER JOIN archived_users AS u ON e.user_id = u.user_id
INNER JOIN event_archives AS a ON u.archive_id = a.archive_id
WHERE a.state IN ('detached', 'dropped') AND u.first_at <= e.requested_at
ORDER BY e.requested_at, u.archive_id
