-- `received_month` is the first day of the partition that has the events, `received_until` the day after its last. Null where
-- a month is meant.
ALTER TABLE rollup_queue ADD COLUMN received_until date;
