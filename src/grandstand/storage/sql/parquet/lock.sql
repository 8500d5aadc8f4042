-- DuckDB: the copies of the files, in a folder that goes with the query, are all that a statement reaches.
SET allowed_directories = [{folder}];
SET enable_external_access = false;
SET lock_configuration = true
