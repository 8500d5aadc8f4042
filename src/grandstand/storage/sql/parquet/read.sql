-- DuckDB: times as microseconds.
SELECT
    id, epoch_us(received_at), epoch_us(occurred_at), epoch_us(processed_at), event_type, user_id, payload
FROM read_parquet($1)
WHERE $2::VARCHAR [] IS NULL OR list_contains($3::VARCHAR [], user_id)
