-- With the indexes, the range and the upkeep of a partition, so that attaching it has nothing left to do; see
-- `events/create_partition`.
DROP TABLE IF EXISTS {table};
CREATE TABLE {table} (
    LIKE events INCLUDING DEFAULTS INCLUDING CONSTRAINTS,
    CONSTRAINT {table}_range CHECK (received_at >= '{from_}' AND received_at < '{to}')
) WITH (autovacuum_analyze_scale_factor = 0.5, autovacuum_vacuum_insert_scale_factor = 0.5);
ALTER TABLE {table}
ALTER COLUMN id SET STATISTICS 0,
ALTER COLUMN processed_at SET STATISTICS 0,
ALTER COLUMN payload SET STATISTICS 0,
ALTER COLUMN received_at SET STATISTICS 30,
ALTER COLUMN occurred_at SET STATISTICS 30,
ALTER COLUMN event_type SET STATISTICS 30,
ALTER COLUMN user_id SET STATISTICS 30
