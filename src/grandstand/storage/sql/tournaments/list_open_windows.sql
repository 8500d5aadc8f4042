SELECT occurrence, starts_at, ends_at FROM occurrences
WHERE tournament_id = $1 AND status IN ('scheduled', 'active', 'ended')
ORDER BY occurrence
