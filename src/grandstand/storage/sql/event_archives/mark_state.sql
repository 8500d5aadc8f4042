UPDATE event_archives SET state = $3 WHERE archive_id = $1 AND state = $2 RETURNING archive_id
