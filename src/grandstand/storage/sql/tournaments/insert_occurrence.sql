INSERT INTO occurrences (tournament_id, occurrence, starts_at, ends_at, status)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING
