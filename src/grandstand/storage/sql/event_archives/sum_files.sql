UPDATE event_archives SET checksum = (SELECT sum(checksum) FROM archive_files WHERE archive_id = $1)
WHERE archive_id = $1
RETURNING archive_id, partition, starts_at, ends_at, state, is_stale, events, checksum
