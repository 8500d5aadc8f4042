-- What was archived again meanwhile has the number of the newer archive.
DELETE FROM archived_ids WHERE archive_id = $1
