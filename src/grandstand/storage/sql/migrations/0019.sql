-- Partitions of a day beside those of a month. Both columns are null where a month is meant.
-- `open_month` is the first day of the partition that batches write side by side, `open_until` the day after its last.
ALTER TABLE ledger ADD COLUMN open_until date;

-- `received_month` is the first day of the partition that has the events, `received_until` the day after its last.
ALTER TABLE rollup_queue ADD COLUMN received_until date;

-- Lists that the console filters: what is rare stands anywhere in a large table.
CREATE INDEX prizes_by_status ON prizes (status, prize_id);
CREATE INDEX audit_log_by_action ON audit_log (action, audit_id);
CREATE INDEX dead_letters_by_type ON dead_letters (event_type, dead_letter_id);
CREATE INDEX dead_letters_by_error ON dead_letters (error, dead_letter_id);
CREATE INDEX occurrences_by_status ON occurrences (status, tournament_id);
