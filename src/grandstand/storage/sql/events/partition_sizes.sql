-- The newest partitions of events: the range that each holds, how many rows it had when it was last analyzed (-1: never
-- yet), and its bytes with indexes.
SELECT
    c.relname AS name,
    pg_get_expr(c.relpartbound, c.oid) AS bounds,
    c.reltuples::bigint AS events,
    pg_total_relation_size(c.oid) AS bytes
FROM pg_inherits AS i
INNER JOIN pg_class AS c ON i.inhrelid = c.oid
WHERE i.inhparent = 'events'::regclass
ORDER BY c.relname DESC
LIMIT $1
