-- Reserves places in the buckets of a ranking; the row lock makes batches take turns. Returns the places taken before.
UPDATE rankings SET placed = placed + $2 WHERE ranking_id = $1 RETURNING placed - $2
