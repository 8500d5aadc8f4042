-- DuckDB: a table larger than its memory goes to this file.
ATTACH {path} AS work;
USE work
