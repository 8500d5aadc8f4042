DELETE FROM archived_users WHERE archive_id = $1
