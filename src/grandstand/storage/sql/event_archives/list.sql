SELECT
    a.archive_id, a.partition, a.state, a.events, a.checksum::text AS checksum, a.starts_at, a.ends_at,
    a.first_received_at, a.last_received_at, a.verified_at, count(f.file_id) AS files,
    coalesce(sum(f.bytes), 0)::bigint AS bytes
FROM event_archives AS a
LEFT JOIN archive_files AS f ON a.archive_id = f.archive_id
WHERE a.state <> 'abandoned'
GROUP BY a.archive_id
ORDER BY a.archive_id
