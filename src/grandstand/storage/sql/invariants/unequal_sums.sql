-- Whether the events counted by hour are as many as those counted by month of arrival, and whether any have left PostgreSQL.
SELECT
    (SELECT coalesce(sum(events), 0) FROM rollups WHERE grain = 'hour')::bigint AS by_hour,
    (SELECT coalesce(sum(events), 0) FROM rollup_months)::bigint AS by_month,
    EXISTS (SELECT FROM event_archives WHERE state IN ('detached', 'dropped') AND events > 0)
    OR EXISTS (
        SELECT FROM rollup_months AS m
        WHERE NOT EXISTS (
            SELECT FROM pg_inherits AS i
            INNER JOIN pg_class AS c ON i.inhrelid = c.oid
            WHERE
                i.inhparent = 'events'::regclass
                AND starts_with(c.relname, 'events_' || to_char(m.received_month, 'YYYY_MM'))
        )
    ) AS has_left
