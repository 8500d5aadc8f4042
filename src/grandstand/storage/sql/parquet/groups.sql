-- DuckDB: what each file is to hold.
SELECT
    day, event_type, count(*) AS events,
    sum(('0x' || left(md5(concat_ws(
        chr(31), id::VARCHAR, epoch_us(received_at)::VARCHAR, epoch_us(occurred_at)::VARCHAR, epoch_us(processed_at)::VARCHAR,
        event_type, user_id, payload
    )), 15))::BIGINT) AS checksum
FROM events
GROUP BY day, event_type
ORDER BY day, event_type
