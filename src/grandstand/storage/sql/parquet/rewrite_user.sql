-- DuckDB: as PostgreSQL does it, erasures/rename_events_chunk.sql.
COPY (
    SELECT
        * REPLACE (
            CASE WHEN user_id = $1 AND epoch_us(received_at) <= $2 THEN $3 ELSE user_id END AS user_id,
            CASE WHEN user_id = $4 AND epoch_us(received_at) <= $5 THEN '{{}}' ELSE payload END AS payload
        )
    FROM read_parquet($6)
    ORDER BY 6, 1
) TO {target} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480)
