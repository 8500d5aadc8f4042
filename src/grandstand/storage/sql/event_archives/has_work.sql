-- Whether an archive has a step left, a file or the table of a restore is to go, or an erasure waits for one.
SELECT
    EXISTS (SELECT FROM event_archives WHERE state IN ('exporting', 'verified', 'detached'))
    OR EXISTS (
        SELECT FROM event_archives AS a INNER JOIN archive_files AS f ON a.archive_id = f.archive_id
        WHERE a.state IN ('abandoned', 'restored')
    )
    OR EXISTS (
        SELECT FROM archive_files_to_delete AS d
        WHERE NOT EXISTS (SELECT FROM archive_files AS f WHERE f.name = d.name)
    )
    OR EXISTS (SELECT FROM pg_tables WHERE schemaname = current_schema() AND tablename LIKE 'restoring\_%')
    OR EXISTS (
        SELECT FROM erasures AS e
        INNER JOIN archived_users AS u ON e.user_id = u.user_id
        INNER JOIN event_archives AS a ON u.archive_id = a.archive_id
        WHERE a.state IN ('detached', 'dropped') AND u.first_at <= e.requested_at
    )
