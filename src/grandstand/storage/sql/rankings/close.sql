-- Ends the writing of rankings. Only live ones: another scheduler, or a deletion, may have moved some on meanwhile.
UPDATE rankings SET state = 'closed' WHERE ranking_id = ANY ($1::bigint []) AND state = 'live'
