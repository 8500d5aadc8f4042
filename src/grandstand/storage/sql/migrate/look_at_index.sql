-- Whether an index is there, and whether it was finished.
SELECT x.indisvalid FROM pg_class AS i INNER JOIN pg_index AS x ON i.oid = x.indexrelid
WHERE i.relnamespace = %(schema)s::regnamespace AND i.relname = %(index)s
