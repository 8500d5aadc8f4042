-- The partition is there again, for what came late.
INSERT INTO {partition} SELECT * FROM {table};
DROP TABLE {table}
