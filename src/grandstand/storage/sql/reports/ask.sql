-- Writes down at $4 that the question $3 of the kind $2 was asked; returns what is kept of it. Where $5 others are kept, the
-- one that was asked longest ago leaves, unless all of them are still to be counted: then nothing is written.
WITH left_out AS (
    DELETE FROM reports
    WHERE report_id = (SELECT report_id FROM reports WHERE as_of IS NOT NULL ORDER BY asked_at, report_id LIMIT 1)
      AND NOT EXISTS (SELECT FROM reports WHERE digest = $1)
      AND (SELECT count(*) FROM reports) >= $5::int
    RETURNING report_id
)
INSERT INTO reports AS r (digest, kind, question, asked_at)
SELECT $1, $2, $3, $4
WHERE EXISTS (SELECT FROM reports WHERE digest = $1)
   OR (SELECT count(*) FROM reports) < $5::int
   OR EXISTS (SELECT FROM left_out)
ON CONFLICT (digest) DO UPDATE SET asked_at = greatest(r.asked_at, excluded.asked_at)
RETURNING as_of, seconds, outcome
