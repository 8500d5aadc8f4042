-- Unless its files were written anew meanwhile.
UPDATE event_archives SET state = 'restored', restored_until = $3
WHERE archive_id = $1 AND state = 'dropped' AND checksum = $2
RETURNING archive_id
