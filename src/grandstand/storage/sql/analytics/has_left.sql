-- Whether events that were received at $1 or later are not in PostgreSQL any more: archived, or of a month without a partition.
SELECT
    EXISTS (
        SELECT FROM event_archives
        WHERE state IN ('detached', 'dropped') AND events > 0 AND coalesce(last_received_at, ends_at) >= $1
    )
    OR EXISTS (
        SELECT FROM rollup_months AS m
        WHERE
            m.received_month >= date_trunc('month', $1::timestamptz, 'UTC')::date
            AND NOT EXISTS (
                SELECT FROM pg_inherits AS i
                INNER JOIN pg_class AS c ON i.inhrelid = c.oid
                WHERE
                    i.inhparent = 'events'::regclass
                    AND starts_with(c.relname, 'events_' || to_char(m.received_month, 'YYYY_MM'))
            )
    )
