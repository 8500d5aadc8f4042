SELECT pg_advisory_xact_lock_shared(hashtextextended('grandstand ban ' || current_schema() || ' ' || $1::text, 0))
