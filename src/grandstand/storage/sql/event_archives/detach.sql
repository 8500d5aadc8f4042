-- The names are free at once for events that come late for this range.
ALTER TABLE events DETACH PARTITION {partition};
ALTER TABLE {partition} RENAME TO {leaving};
ALTER INDEX {partition}_id RENAME TO {leaving}_id
