-- Stored, or archived: the ids of an archive are written down before its partition leaves. Ids are taken apart once, and
-- not anew for each partition; each index is visited once and in its order when they are sorted, as they should be.
WITH wanted AS MATERIALIZED (SELECT $1::text::uuid [] AS ids)

SELECT id FROM events WHERE id = ANY ((SELECT ids FROM wanted)::uuid [])
UNION ALL
SELECT id FROM archived_ids WHERE id = ANY ((SELECT ids FROM wanted)::uuid [])
