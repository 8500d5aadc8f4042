-- From when on events are needed in the table: scores of a tournament that is not settled may be cut anew.
SELECT min(starts_at) FROM occurrences WHERE status NOT IN ('settled', 'cancelled')
