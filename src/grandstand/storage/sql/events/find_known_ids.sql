-- Stored, or archived: the ids of an archive are written down before its partition leaves.
SELECT id FROM events WHERE id = ANY ($1::text::uuid [])
UNION ALL
SELECT id FROM archived_ids WHERE id = ANY ($1::text::uuid [])
