-- Occurrences of a month are found by whether they overlap it, however long they last.
CREATE INDEX occurrences_by_time ON occurrences USING gist (tstzrange(starts_at, ends_at));
