-- Takes the oldest batches that are not counted yet. A batch that commits late is simply taken later.
DELETE FROM rollup_queue
WHERE batch_id IN (SELECT batch_id FROM rollup_queue ORDER BY batch_id LIMIT $1)
RETURNING events
