INSERT INTO rollup_months AS m (received_month, events)
SELECT received_month, sum(events) FROM rollup_queue
WHERE batch_id = ANY ($1::bigint [])
GROUP BY received_month
ON CONFLICT (received_month) DO UPDATE SET events = m.events + excluded.events
