-- What this database knows of the archive's place, where the marker has a token or none. A copy by a dump, a template or into
-- another schema is another database; one of all files of the server is not, and is noticed by its tokens.
SELECT
    (
        SELECT s.system_identifier || '/' || d.oid || '/' || current_schema()
        FROM pg_control_system() AS s, pg_database AS d
        WHERE d.datname = current_database()
    ) AS database,
    (SELECT t.database FROM archive_tokens AS t ORDER BY t.number DESC LIMIT 1) AS owner,
    EXISTS (SELECT FROM archive_tokens WHERE token = $1) AS is_known,
    EXISTS (SELECT FROM archive_tokens WHERE seen_at IS NOT NULL) AND (
        EXISTS (SELECT FROM archive_files) OR EXISTS (SELECT FROM archive_files_to_delete)
    ) AS may_have_files,
    (
        SELECT f.name
        FROM archive_files AS f
        INNER JOIN event_archives AS a ON f.archive_id = a.archive_id
        WHERE a.state IN ('verified', 'detached', 'dropped')
        ORDER BY a.archive_id DESC, f.bytes
        LIMIT 1
    ) AS file_name
