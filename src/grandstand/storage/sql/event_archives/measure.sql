-- How many events a partition has, and a checksum that does not depend on their order; storage/parquet.py has the same.
SELECT
    count(*) AS events, min(received_at) AS first_at, max(received_at) AS last_at,
    coalesce(sum(('x' || left(md5(concat_ws(
        chr(31), id, (extract(EPOCH FROM received_at) * 1000000)::bigint, (extract(EPOCH FROM occurred_at) * 1000000)::bigint,
        (extract(EPOCH FROM processed_at) * 1000000)::bigint, event_type, user_id, payload
    )), 15))::bit(60)::bigint), 0) AS checksum
FROM {partition}
