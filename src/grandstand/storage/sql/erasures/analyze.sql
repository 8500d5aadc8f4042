-- {table} is a name that PostgreSQL itself has quoted.
ANALYZE {table}
