-- Whether files that speak for events name the player from before the request; or something that may name the player is on its
-- way out of the archive or of PostgreSQL: what was replaced, given up or restored, a table that left, what a restore has
-- brought so far. A round of archiving ends all of it.
SELECT
    EXISTS (
        SELECT FROM archived_users AS u
        INNER JOIN event_archives AS a ON u.archive_id = a.archive_id
        WHERE u.user_id = $1 AND u.first_at <= $2 AND a.state IN ('detached', 'dropped')
    )
    OR EXISTS (SELECT FROM event_archives WHERE state = 'detached' OR (state IN ('exporting', 'verified') AND is_stale))
    OR EXISTS (
        SELECT FROM event_archives AS a INNER JOIN archive_files AS f ON a.archive_id = f.archive_id
        WHERE a.state IN ('abandoned', 'restored')
    )
    OR EXISTS (
        SELECT FROM archive_files_to_delete AS d
        WHERE NOT EXISTS (SELECT FROM archive_files AS f WHERE f.name = d.name)
    )
    OR EXISTS (SELECT FROM pg_tables WHERE schemaname = current_schema() AND tablename LIKE 'restoring\_%')
