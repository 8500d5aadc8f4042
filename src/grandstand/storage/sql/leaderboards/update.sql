UPDATE leaderboards
SET definition = $2::jsonb, revision = $3, updated_at = now()
WHERE leaderboard_id = $1
RETURNING leaderboard_id, key, definition, revision, epoch, resets, pending_definition, pending_epoch,
    epoch_began_at, pending_began_at, windows, grace_seconds, false AS is_deleted
