-- Who stands before a migration that waits for a lock. A transaction that was prepared has no session: its pid is 0.
SELECT
    b.pid,
    coalesce(a.usename, '') AS user_name,
    coalesce(nullif(a.application_name, ''), a.backend_type, 'a prepared transaction') AS program,
    coalesce(a.state, 'waiting for its end') AS state,
    coalesce(a.xact_start, a.backend_start) AS since,
    coalesce(a.query, '') AS query
FROM pg_stat_activity AS m
CROSS JOIN LATERAL unnest(pg_blocking_pids(m.pid)) AS b (pid)
LEFT JOIN pg_stat_activity AS a ON b.pid = a.pid
WHERE m.application_name = %(name)s AND m.datname = current_database()
ORDER BY since
