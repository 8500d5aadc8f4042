-- Of a database that was restored: no token of it counts until somebody takes the archive over.
INSERT INTO archive_tokens (token, database)
SELECT gen_random_uuid(), 'restored'
WHERE EXISTS (SELECT FROM archive_tokens) OR EXISTS (SELECT FROM archive_files)
RETURNING token
