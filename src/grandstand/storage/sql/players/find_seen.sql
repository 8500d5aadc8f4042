-- Each end of the index of each partition: as quick for a million events as for one.
SELECT min(received_at) AS first_at, max(received_at) AS last_at FROM events WHERE user_id = $1
