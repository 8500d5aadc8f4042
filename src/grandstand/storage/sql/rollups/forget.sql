-- Takes the batches $1 off the queue, as counted of their months of arrival.
WITH gone AS (
    DELETE FROM rollup_queue WHERE batch_id = ANY ($1::bigint [])
    RETURNING received_month, events
)

INSERT INTO rollup_months AS m (received_month, events)
SELECT date_trunc('month', received_month)::date, sum(events) FROM gone
GROUP BY 1
ON CONFLICT (received_month) DO UPDATE SET events = m.events + excluded.events
