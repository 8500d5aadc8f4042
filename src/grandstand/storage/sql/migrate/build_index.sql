CREATE INDEX CONCURRENTLY {index} ON {table} {definition}
