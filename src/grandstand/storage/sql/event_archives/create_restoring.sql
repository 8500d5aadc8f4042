-- With the indexes and the range of a partition, so that attaching it has nothing left to do.
DROP TABLE IF EXISTS {table};
CREATE TABLE {table} (
    LIKE events INCLUDING DEFAULTS INCLUDING CONSTRAINTS,
    CONSTRAINT {table}_range CHECK (received_at >= '{from_}' AND received_at < '{to}')
)
