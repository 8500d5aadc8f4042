-- Partitions of a table that have no part yet of an index of the whole, and the name that theirs is to have.
SELECT c.relname AS partition, left(c.relname || '_' || i.relname, 63) AS index_name
FROM pg_class AS i
INNER JOIN pg_index AS x ON i.oid = x.indexrelid
INNER JOIN pg_inherits AS h ON x.indrelid = h.inhparent
INNER JOIN pg_class AS c ON h.inhrelid = c.oid
WHERE
    i.relnamespace = %(schema)s::regnamespace AND i.relname = %(index)s AND NOT h.inhdetachpending
    AND NOT EXISTS (
        SELECT FROM pg_inherits AS p INNER JOIN pg_index AS y ON p.inhrelid = y.indexrelid
        WHERE p.inhparent = i.oid AND y.indrelid = c.oid
    )
ORDER BY c.relname
