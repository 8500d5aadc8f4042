-- Archives that have something left to do, the oldest first.
SELECT archive_id, partition, starts_at, ends_at, state, is_stale, events, checksum
FROM event_archives
WHERE
    state IN ('exporting', 'verified', 'detached')
    OR (
        state IN ('abandoned', 'restored')
        AND archive_id IN (SELECT archive_id FROM archive_files)
    )
ORDER BY archive_id
