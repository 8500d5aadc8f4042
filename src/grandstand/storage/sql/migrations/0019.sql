-- Partitions of a day beside those of a month: `open_month` is the first day of the partition that batches write side by
-- side, `open_until` the day after its last. Null where a month is meant.
ALTER TABLE ledger ADD COLUMN open_until date;
