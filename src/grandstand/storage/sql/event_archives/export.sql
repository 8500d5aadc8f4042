-- Times as microseconds: no format stands between the two engines.
SELECT
    id, (extract(EPOCH FROM received_at) * 1000000)::bigint, (extract(EPOCH FROM occurred_at) * 1000000)::bigint,
    (extract(EPOCH FROM processed_at) * 1000000)::bigint, event_type, user_id, payload
FROM {partition}
ORDER BY received_at::date, event_type, user_id, id
