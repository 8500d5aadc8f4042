DELETE FROM entries
WHERE ranking_id = ANY ($1::bigint []) AND user_id = $2
RETURNING ranking_id, user_id, score, tie_key, achieved_at, metadata, nextval('entry_versions') AS version
