-- Partitions of a day beside those of a month. Both columns are null where a month is meant.
-- `open_month` is the first day of the partition that batches write side by side, `open_until` the day after its last.
ALTER TABLE ledger ADD COLUMN open_until date;

-- `received_month` is the first day of the partition that has the events, `received_until` the day after its last.
ALTER TABLE rollup_queue ADD COLUMN received_until date;
