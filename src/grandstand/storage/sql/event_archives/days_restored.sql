-- A moment of each UTC day that has events.
SELECT min(received_at) AS day FROM {table} GROUP BY date_trunc('day', received_at, 'UTC') ORDER BY 1
