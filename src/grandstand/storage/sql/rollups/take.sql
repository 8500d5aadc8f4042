-- Takes the oldest batches that are not counted yet, up to so many bytes and one at least. A batch that commits late is
-- simply taken later.
DELETE FROM rollup_queue
WHERE batch_id IN (
    SELECT q.batch_id
    FROM (
        SELECT batch_id, sum(length(events)) OVER (ORDER BY batch_id) - length(events) AS before_bytes
        FROM (SELECT batch_id, events FROM rollup_queue ORDER BY batch_id LIMIT 100) AS oldest
    ) AS q
    WHERE q.before_bytes < $1
)
RETURNING events
