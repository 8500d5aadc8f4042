SELECT pg_advisory_xact_lock(hashtextextended('grandstand ban ' || current_schema() || ' ' || $1::text, 0))
