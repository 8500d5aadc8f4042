-- Since the server started: bytes of WAL, images of whole pages in it, and pages that sessions read into the shared buffers.
SELECT
    pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint AS wal_bytes,
    (SELECT wal_fpi FROM pg_stat_wal) AS page_images,
    (SELECT coalesce(sum(reads), 0)::bigint FROM pg_stat_io WHERE backend_type = 'client backend') AS pages_read
