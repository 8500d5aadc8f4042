-- Partitions of events without a valid unique index on the id.
SELECT c.relname AS name
FROM pg_inherits AS i
INNER JOIN pg_class AS c ON i.inhrelid = c.oid
WHERE
    i.inhparent = 'events'::regclass
    AND NOT EXISTS (
        SELECT FROM pg_index AS x
        INNER JOIN pg_attribute AS a ON x.indrelid = a.attrelid AND x.indkey[0] = a.attnum
        WHERE
            x.indrelid = c.oid AND x.indisunique AND x.indisvalid AND x.indpred IS NULL AND x.indnkeyatts = 1
            AND a.attname = 'id'
    )
ORDER BY c.relname
