INSERT INTO rollup_months AS m (received_month, events)
SELECT date_trunc('month', received_month)::date, sum(events) FROM rollup_queue
WHERE batch_id = ANY ($1::bigint [])
GROUP BY 1
ON CONFLICT (received_month) DO UPDATE SET events = m.events + excluded.events
