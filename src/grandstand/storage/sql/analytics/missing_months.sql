-- Whether events that were received in the month of $1 or later are not in PostgreSQL any more.
SELECT EXISTS (
    SELECT FROM rollup_months AS m
    WHERE
        m.received_month >= date_trunc('month', $1::timestamptz, 'UTC')::date
        AND NOT EXISTS (
            SELECT FROM pg_inherits AS i
            INNER JOIN pg_class AS c ON i.inhrelid = c.oid
            WHERE i.inhparent = 'events'::regclass AND c.relname = 'events_' || to_char(m.received_month, 'YYYY_MM')
        )
)
