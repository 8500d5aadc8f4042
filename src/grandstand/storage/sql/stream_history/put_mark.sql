INSERT INTO stream_mark (incarnation, appended, depth) VALUES ($1, $2, $3)
ON CONFLICT (only_row) DO UPDATE SET incarnation = $1, appended = $2, depth = $3, changed_at = now()
