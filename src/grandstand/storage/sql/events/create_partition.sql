-- {partition}, {from_}, {to} are made by code from a date, never from input. A table of its own that is attached
-- afterwards: attaching an empty table takes no lock that stops reads or writes of the others.
CREATE TABLE IF NOT EXISTS {partition} (
    LIKE events INCLUDING DEFAULTS INCLUDING CONSTRAINTS,
    CONSTRAINT {partition}_range CHECK (received_at >= '{from_}' AND received_at < '{to}')
);
CREATE UNIQUE INDEX IF NOT EXISTS {partition}_id ON {partition} (id);
ALTER TABLE events ATTACH PARTITION {partition} FOR VALUES FROM ('{from_}') TO ('{to}');
ALTER TABLE {partition} DROP CONSTRAINT {partition}_range;
