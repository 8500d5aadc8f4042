SELECT c.relkind = 'p' FROM pg_class AS c WHERE c.relnamespace = %(schema)s::regnamespace AND c.relname = %(table)s
