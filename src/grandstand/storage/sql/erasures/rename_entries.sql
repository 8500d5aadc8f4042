-- Entries that are final and not archived yet.
UPDATE entries AS e SET user_id = $2, version = nextval('entry_versions')
FROM rankings AS r
INNER JOIN leaderboards AS l ON r.leaderboard_id = l.leaderboard_id
WHERE e.ranking_id = r.ranking_id AND r.state IN ('live', 'closed') AND e.user_id = $1
RETURNING e.ranking_id, e.user_id, e.score, e.tie_key, e.achieved_at, e.metadata, e.version,
    CASE WHEN l.definition ->> 'order' = 'asc' THEN 1 ELSE -1 END AS direction
