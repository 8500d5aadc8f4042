SELECT archive_id, partition, starts_at, ends_at, state, is_stale, events, checksum
FROM event_archives WHERE archive_id = $1
