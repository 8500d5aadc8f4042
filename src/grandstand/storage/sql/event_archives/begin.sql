INSERT INTO event_archives (partition, starts_at, ends_at, state) VALUES ($1, $2, $3, 'exporting') RETURNING archive_id
