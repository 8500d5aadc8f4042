-- A replica made from a primary has its system identifier; two clusters never share one.
SELECT
    s.system_identifier, pg_is_in_recovery() AS is_replica, current_setting('server_version_num')::integer / 10000 AS major
FROM pg_control_system() AS s
