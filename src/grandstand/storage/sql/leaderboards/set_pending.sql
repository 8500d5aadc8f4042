UPDATE leaderboards
SET pending_definition = $2::jsonb, pending_epoch = $3, pending_began_at = $4, revision = $5
WHERE leaderboard_id = $1
RETURNING leaderboard_id, key, definition, revision, epoch, resets, pending_definition, pending_epoch,
    epoch_began_at, pending_began_at, windows, grace_seconds, false AS is_deleted
