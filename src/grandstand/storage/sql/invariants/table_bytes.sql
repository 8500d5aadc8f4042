SELECT coalesce(
    (SELECT sum(pg_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = to_regclass($1)),
    pg_relation_size(to_regclass($1))
)::double precision
