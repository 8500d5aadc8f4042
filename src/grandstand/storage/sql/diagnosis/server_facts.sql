SELECT
    current_setting('server_version_num')::integer AS version_number,
    current_setting('server_version') AS version,
    pg_is_in_recovery() AS is_replica,
    clock_timestamp() AS server_time,
    current_setting('max_connections')::integer
    - current_setting('superuser_reserved_connections')::integer AS connections_max,
    (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections,
    current_setting('fsync') AS fsync,
    current_setting('synchronous_commit') AS synchronous_commit,
    current_setting('full_page_writes') AS full_page_writes,
    current_setting('autovacuum') AS autovacuum
