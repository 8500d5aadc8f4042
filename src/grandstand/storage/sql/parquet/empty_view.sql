-- DuckDB: nothing is archived yet.{files}
CREATE VIEW events AS
SELECT
    NULL::UUID AS id, NULL::TIMESTAMP AS received_at, NULL::TIMESTAMP AS occurred_at, NULL::TIMESTAMP AS processed_at,
    NULL::VARCHAR AS event_type, NULL::VARCHAR AS user_id, NULL::VARCHAR AS payload
WHERE false
