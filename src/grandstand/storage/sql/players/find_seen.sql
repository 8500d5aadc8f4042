-- Each end of the index of each partition: as quick for a million events as for one. Archives have it written down.
SELECT min(s.first_at) AS first_at, max(s.last_at) AS last_at
FROM (
    SELECT min(received_at) AS first_at, max(received_at) AS last_at FROM events WHERE user_id = $1
    UNION ALL
    SELECT min(first_at), max(last_at) FROM archived_users WHERE user_id = $1
) AS s
