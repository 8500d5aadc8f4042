-- The oldest batches that are not counted yet, of up to $1 events and one at least. A batch that commits late is simply
-- taken later.
SELECT q.batch_id
FROM (
    SELECT batch_id, sum(events) OVER (ORDER BY batch_id) - events AS events_before
    FROM (SELECT batch_id, events FROM rollup_queue ORDER BY batch_id LIMIT 1000) AS oldest
) AS q
WHERE q.events_before < $1
