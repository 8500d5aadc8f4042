-- The newest partitions of events: the range that each holds, about how many rows it has (-1: it was never analyzed), and its
-- bytes with indexes. Rows a page are those of when it was last analyzed: since then it may have grown by half.
SELECT
    c.relname AS name,
    pg_get_expr(c.relpartbound, c.oid) AS bounds,
    CASE
        WHEN c.relpages = 0 THEN c.reltuples
        ELSE c.reltuples / c.relpages * (pg_relation_size(c.oid) / current_setting('block_size')::int)
    END::bigint AS events,
    pg_total_relation_size(c.oid) AS bytes
FROM pg_inherits AS i
INNER JOIN pg_class AS c ON i.inhrelid = c.oid
WHERE i.inhparent = 'events'::regclass
ORDER BY c.relname DESC
LIMIT $1
