-- What was committed before this question lies before this place of the log.
SELECT (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint
