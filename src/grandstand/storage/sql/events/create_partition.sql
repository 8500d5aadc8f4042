-- {partition}, {from_}, {to} are made by code from a date, never from input. A table of its own that is attached
-- afterwards: attaching an empty table takes no lock that stops reads or writes of the others.
-- It is vacuumed and analyzed when it has grown by half, and not by a fifth and a tenth, without the columns that no plan
-- asks about: see docs/decisions/0061. Partitions of before have it from 0036.
CREATE TABLE IF NOT EXISTS {partition} (
    LIKE events INCLUDING DEFAULTS INCLUDING CONSTRAINTS,
    CONSTRAINT {partition}_range CHECK (received_at >= '{from_}' AND received_at < '{to}')
) WITH (autovacuum_analyze_scale_factor = 0.5, autovacuum_vacuum_insert_scale_factor = 0.5);
ALTER TABLE {partition}
ALTER COLUMN id SET STATISTICS 0,
ALTER COLUMN processed_at SET STATISTICS 0,
ALTER COLUMN payload SET STATISTICS 0,
ALTER COLUMN received_at SET STATISTICS 30,
ALTER COLUMN occurred_at SET STATISTICS 30,
ALTER COLUMN event_type SET STATISTICS 30,
ALTER COLUMN user_id SET STATISTICS 30;
CREATE UNIQUE INDEX IF NOT EXISTS {partition}_id ON {partition} (id);
ALTER TABLE events ATTACH PARTITION {partition} FOR VALUES FROM ('{from_}') TO ('{to}');
ALTER TABLE {partition} DROP CONSTRAINT {partition}_range;
