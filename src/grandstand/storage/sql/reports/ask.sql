-- Writes down at $4 that the question $3 of the kind $2 was asked, unless $5 others are; returns what is kept of it.
INSERT INTO reports AS r (digest, kind, question, asked_at)
SELECT $1, $2, $3, $4
WHERE EXISTS (SELECT FROM reports WHERE digest = $1) OR (SELECT count(*) FROM reports) < $5::int
ON CONFLICT (digest) DO UPDATE SET asked_at = greatest(r.asked_at, excluded.asked_at)
RETURNING as_of, seconds, outcome
