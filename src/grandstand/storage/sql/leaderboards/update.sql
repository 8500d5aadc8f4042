UPDATE leaderboards
SET definition = $2::jsonb, revision = $3, updated_at = now()
WHERE leaderboard_id = $1
RETURNING leaderboard_id, key, definition, revision, ranking_id, false AS is_deleted
