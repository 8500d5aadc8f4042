SELECT count(*) FROM occurrences WHERE status = 'settled' AND settled_at >= $1
