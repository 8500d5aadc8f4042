-- Deletes and does not truncate: readers go on with what was counted before.
WITH users AS (DELETE FROM rollup_users),

first AS (DELETE FROM first_events),

months AS (DELETE FROM rollup_months),

days AS (DELETE FROM rollup_days),

queue AS (DELETE FROM rollup_queue),

reports AS (DELETE FROM reports)

DELETE FROM rollups
