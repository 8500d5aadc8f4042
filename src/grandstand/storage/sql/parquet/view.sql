-- DuckDB: times as UTC without a zone, which every client can show.
CREATE VIEW events AS
SELECT
    id, make_timestamp(epoch_us(received_at)) AS received_at, make_timestamp(epoch_us(occurred_at)) AS occurred_at,
    make_timestamp(epoch_us(processed_at)) AS processed_at, event_type, user_id, payload
FROM read_parquet([{files}])
