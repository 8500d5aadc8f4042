SELECT name FROM archive_files WHERE file_id = $1
