-- How long the oldest batch has been waiting, in seconds, and how many events wait.
SELECT
    coalesce(date_part('epoch', clock_timestamp() - min(queued_at)), 0) AS lag_seconds,
    coalesce(sum(events), 0)::bigint AS events
FROM rollup_queue
