SELECT leaderboard_id, key, definition, revision, ranking_id, false AS is_deleted
FROM leaderboards
WHERE key = $1 AND deleted_at IS NULL
