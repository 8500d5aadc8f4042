-- Tables into which an archive is, or was, restored, and that are no partitions yet.
SELECT tablename AS name FROM pg_tables
WHERE schemaname = current_schema() AND tablename LIKE 'restoring\_%'
