INSERT INTO archive_files_to_delete (name) VALUES ($1) ON CONFLICT DO NOTHING
