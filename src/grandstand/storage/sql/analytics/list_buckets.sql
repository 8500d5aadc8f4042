SELECT start, event_type, events, users FROM rollups
WHERE grain = $1 AND start >= $2 AND start < $3 AND event_type <> '' AND ($4::text IS NULL OR event_type = $4)
ORDER BY start, event_type
LIMIT $5
