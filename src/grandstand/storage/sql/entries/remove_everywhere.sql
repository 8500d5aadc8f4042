-- Takes a user off every ranking that is not archived.
DELETE FROM entries AS e
USING rankings AS r
WHERE e.ranking_id = r.ranking_id AND r.state IN ('live', 'closed') AND e.user_id = $1
RETURNING e.ranking_id, e.user_id, e.score, e.tie_key, e.achieved_at, e.metadata,
    nextval('entry_versions') AS version
