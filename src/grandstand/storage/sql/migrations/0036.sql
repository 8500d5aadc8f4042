-- Tables that grow all day are vacuumed and analyzed when they have grown by half, and columns that no plan asks about are
-- not looked at: see docs/decisions/0061.
-- allowed: two-tables: no lock of these stops reads or writes (SHARE UPDATE EXCLUSIVE), and no batch waits for one
DO $$
DECLARE
    partition text;
BEGIN
    -- By name: one that leaves meanwhile needs nothing, and a regclass that is no more is a number, which no statement takes.
    FOR partition IN
        SELECT format('%I.%I', n.nspname, c.relname)
        FROM pg_inherits AS i
        INNER JOIN pg_class AS c ON i.inhrelid = c.oid
        INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
        WHERE i.inhparent = 'events'::regclass
        ORDER BY c.oid
    LOOP
        EXECUTE format(
            'ALTER TABLE IF EXISTS %s '
            'SET (autovacuum_analyze_scale_factor = 0.5, autovacuum_vacuum_insert_scale_factor = 0.5), '
            'ALTER COLUMN id SET STATISTICS 0, '
            'ALTER COLUMN processed_at SET STATISTICS 0, '
            'ALTER COLUMN payload SET STATISTICS 0, '
            'ALTER COLUMN received_at SET STATISTICS 30, '
            'ALTER COLUMN occurred_at SET STATISTICS 30, '
            'ALTER COLUMN event_type SET STATISTICS 30, '
            'ALTER COLUMN user_id SET STATISTICS 30',
            partition
        );
    END LOOP;
END
$$;

ALTER TABLE first_events
SET (autovacuum_analyze_scale_factor = 0.5, autovacuum_vacuum_insert_scale_factor = 0.5),
ALTER COLUMN event_id SET STATISTICS 0,
ALTER COLUMN payload SET STATISTICS 0,
ALTER COLUMN user_id SET STATISTICS 30,
ALTER COLUMN occurred_at SET STATISTICS 30,
ALTER COLUMN event_type SET STATISTICS 30;

ALTER TABLE rollup_users
SET (autovacuum_analyze_scale_factor = 0.5, autovacuum_vacuum_insert_scale_factor = 0.5),
ALTER COLUMN hours SET STATISTICS 0;

-- Written all over and not only at the end: the vacuum that takes away what updates leave comes as before.
ALTER TABLE entries
SET (autovacuum_analyze_scale_factor = 0.3),
ALTER COLUMN tie_key SET STATISTICS 0,
ALTER COLUMN event_id SET STATISTICS 0,
ALTER COLUMN metadata SET STATISTICS 0,
ALTER COLUMN version SET STATISTICS 0,
ALTER COLUMN total SET STATISTICS 0;

-- Whole batches: to take their arrays apart would cost more than counting them.
ALTER TABLE rollup_queue
ALTER COLUMN event_types SET STATISTICS 0,
ALTER COLUMN user_ids SET STATISTICS 0,
ALTER COLUMN occurred_at SET STATISTICS 0,
ALTER COLUMN event_ids SET STATISTICS 0;
