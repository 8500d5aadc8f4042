DELETE FROM archive_files WHERE archive_id = $1
