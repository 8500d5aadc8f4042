UPDATE leaderboards
SET pending_definition = $2::jsonb, pending_epoch = $3, revision = $4
WHERE leaderboard_id = $1
RETURNING leaderboard_id, key, definition, revision, epoch, resets, pending_definition, pending_epoch, windows, grace_seconds,
    false AS is_deleted
