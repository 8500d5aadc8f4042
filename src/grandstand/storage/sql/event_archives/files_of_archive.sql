SELECT file_id, name FROM archive_files WHERE archive_id = $1 ORDER BY file_id
