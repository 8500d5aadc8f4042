SELECT file_id, archive_id, day, event_type, name, events, checksum, bytes, sha256
FROM archive_files WHERE archive_id = $1 ORDER BY file_id
