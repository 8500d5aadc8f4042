INSERT INTO archive_files (archive_id, day, event_type, name, events, checksum, bytes, sha256)
SELECT $1, f.*
FROM unnest($2::date [], $3::text [], $4::text [], $5::bigint [], $6::numeric [], $7::bigint [], $8::bytea []) AS f
