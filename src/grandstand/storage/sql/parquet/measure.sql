-- DuckDB: the same sum as event_archives/measure.sql.
SELECT
    count(*) AS events,
    coalesce(sum(('0x' || left(md5(concat_ws(
        chr(31), id::VARCHAR, epoch_us(received_at)::VARCHAR, epoch_us(occurred_at)::VARCHAR, epoch_us(processed_at)::VARCHAR,
        event_type, user_id, payload
    )), 15))::BIGINT), 0) AS checksum
FROM read_parquet($1)
