-- There are partitions for some of it again, for what came late.
INSERT INTO events SELECT * FROM {table}
