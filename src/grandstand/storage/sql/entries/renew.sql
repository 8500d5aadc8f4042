-- Gives entries new versions, so that a rank index takes them whatever it holds.
UPDATE entries AS e SET version = nextval('entry_versions')
FROM unnest($2::text []) AS w (user_id)
WHERE e.ranking_id = $1 AND e.user_id = w.user_id
RETURNING e.ranking_id, e.user_id, e.score, e.tie_key, e.achieved_at, e.metadata, e.version
