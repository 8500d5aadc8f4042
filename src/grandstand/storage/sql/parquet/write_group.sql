-- DuckDB: users together, so that a search for one reads little of the file.
COPY (
    SELECT * EXCLUDE (day) FROM events
    WHERE day = $1 AND event_type = $2
    ORDER BY user_id, id
) TO {path} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480)
