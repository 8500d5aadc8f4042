CREATE INDEX {index} ON ONLY {table} {definition}
