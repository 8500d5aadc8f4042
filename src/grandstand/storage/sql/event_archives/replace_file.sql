UPDATE archive_files SET name = $3, checksum = $4, bytes = $5, sha256 = $6 WHERE file_id = $1 AND name = $2
RETURNING archive_id
