-- Gives entries new versions, so that a rank index takes them whatever it holds; those that changed since are left alone.
UPDATE entries AS e SET version = nextval('entry_versions')
FROM unnest($2::text [], $3::bigint []) AS w (user_id, version)
WHERE e.ranking_id = $1 AND e.user_id = w.user_id AND e.version = w.version
RETURNING e.ranking_id, e.user_id, e.score, e.tie_key, e.achieved_at, e.metadata, e.version
