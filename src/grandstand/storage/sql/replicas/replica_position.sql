-- Null for a server that is no replica: the primary itself, or one that was promoted.
SELECT (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint
WHERE pg_is_in_recovery()
