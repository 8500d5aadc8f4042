UPDATE event_archives SET state = 'detached', detached_at = now()
WHERE archive_id = $1 AND state = 'verified' AND NOT is_stale
RETURNING archive_id
