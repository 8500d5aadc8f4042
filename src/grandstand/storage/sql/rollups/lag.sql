-- How long the oldest batch has been waiting, in seconds.
SELECT coalesce(date_part('epoch', clock_timestamp() - min(queued_at)), 0) FROM rollup_queue
