DELETE FROM archive_files_to_delete WHERE name = $1
