-- Write a token down before the place has it. The one that was found there stays, and those of a day: a process that stood still
-- may yet write one.
WITH found AS (UPDATE archive_tokens SET seen_at = now() WHERE token = $2),

old AS (DELETE FROM archive_tokens WHERE issued_at < now() - interval '1 day' AND token IS DISTINCT FROM $2)

INSERT INTO archive_tokens (token, database) VALUES ($1, $3)
