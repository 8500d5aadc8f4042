CREATE UNIQUE INDEX {table}_id ON {table} (id);
CREATE INDEX ON {table} (user_id, received_at);
CREATE INDEX ON {table} (event_type, received_at)
