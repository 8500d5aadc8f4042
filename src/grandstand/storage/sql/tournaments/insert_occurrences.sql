INSERT INTO occurrences (tournament_id, occurrence, starts_at, ends_at, status)
SELECT $1, w.occurrence, w.starts_at, w.ends_at, 'scheduled'
FROM unnest($2::integer [], $3::timestamptz [], $4::timestamptz []) AS w (occurrence, starts_at, ends_at)
ON CONFLICT (tournament_id, occurrence) DO NOTHING
RETURNING occurrence
