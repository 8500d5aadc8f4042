-- What is written down of the archives that speak for events, counted four ways.
SELECT
    a.archive_id, a.partition, a.events,
    coalesce((SELECT sum(f.events) FROM archive_files AS f WHERE f.archive_id = a.archive_id), 0)::bigint AS in_files,
    coalesce((SELECT sum(f.checksum) FROM archive_files AS f WHERE f.archive_id = a.archive_id), 0) = a.checksum
        AS is_sum_right,
    coalesce((SELECT sum(u.events) FROM archived_users AS u WHERE u.archive_id = a.archive_id), 0)::bigint AS of_users
FROM event_archives AS a
WHERE a.state IN ('detached', 'dropped')
ORDER BY a.archive_id
