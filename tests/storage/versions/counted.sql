-- Since 0016 a batch also queues what rollups count.
INSERT INTO rollup_queue (received_month, events, event_types, user_ids, occurred_at, event_ids)
SELECT '2024-10-01', count(*), array_agg(event_type), array_agg(user_id), array_agg(occurred_at), array_agg(id)
FROM events WHERE event_type = 'VERSION';
