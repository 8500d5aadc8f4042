SELECT
    a.archive_id, a.partition, a.state, a.events, a.starts_at, a.ends_at, a.verified_at, f.files, f.bytes
FROM (
    SELECT * FROM event_archives WHERE state <> 'abandoned' ORDER BY archive_id DESC LIMIT $1
) AS a
LEFT JOIN LATERAL (
    SELECT count(*) AS files, coalesce(sum(bytes), 0)::bigint AS bytes FROM archive_files
    WHERE archive_id = a.archive_id
) AS f ON true
ORDER BY a.archive_id DESC
