SELECT leaderboard_id, key, definition, revision, ranking_id, deleted_at IS NOT NULL AS is_deleted
FROM leaderboards
WHERE revision > $1
ORDER BY revision
