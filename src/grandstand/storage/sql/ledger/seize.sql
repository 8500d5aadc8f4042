-- Waits until no batch is under way and holds back new ones until the end of this transaction.
SELECT pg_advisory_xact_lock($1)
