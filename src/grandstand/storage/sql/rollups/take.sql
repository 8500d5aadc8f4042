-- The oldest batches that are not counted yet, of up to $1 events and one at least, $2 batches at most. A batch that commits
-- late is simply taken later.
SELECT q.batch_id, q.events
FROM (
    SELECT batch_id, events, sum(events) OVER (ORDER BY batch_id) - events AS events_before
    FROM (SELECT batch_id, events FROM rollup_queue ORDER BY batch_id LIMIT $2) AS oldest
) AS q
WHERE q.events_before < $1
