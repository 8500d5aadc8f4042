INSERT INTO archived_ids (id, archive_id) SELECT id, $1 FROM {partition} ORDER BY id
ON CONFLICT (id) DO UPDATE SET archive_id = EXCLUDED.archive_id
