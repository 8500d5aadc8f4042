ALTER TABLE {table} RENAME TO {partition};
ALTER INDEX {table}_id RENAME TO {partition}_id;
ALTER TABLE events ATTACH PARTITION {partition} FOR VALUES FROM ('{from_}') TO ('{to}');
ALTER TABLE {partition} DROP CONSTRAINT {table}_range
