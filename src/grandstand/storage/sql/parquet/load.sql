-- DuckDB: the export as a table, in the order in which it comes: by day, type and user.
CREATE TABLE events AS
SELECT
    id, make_timestamptz(received_us) AS received_at, make_timestamptz(occurred_us) AS occurred_at,
    make_timestamptz(processed_us) AS processed_at, event_type, user_id, payload,
    make_timestamp(received_us)::DATE AS day
FROM read_csv(
    $1, header = false, auto_detect = false, delim = ',', quote = '"', escape = '"', max_line_size = 67108864,
    buffer_size = 134217728, parallel = false,
    columns = {
        'id': 'UUID', 'received_us': 'BIGINT', 'occurred_us': 'BIGINT', 'processed_us': 'BIGINT', 'event_type': 'VARCHAR',
        'user_id': 'VARCHAR', 'payload': 'VARCHAR'
    }
)
