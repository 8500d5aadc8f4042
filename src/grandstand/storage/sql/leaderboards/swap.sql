-- Puts a definition and the epoch that was made by it in force, and ends the replay that made them.
UPDATE leaderboards
SET
    definition = $2::jsonb, revision = $3, epoch = $4, epoch_began_at = $5,
    pending_definition = NULL, pending_epoch = NULL, pending_began_at = NULL, updated_at = now()
WHERE leaderboard_id = $1
RETURNING leaderboard_id, key, definition, revision, epoch, resets, pending_definition, pending_epoch,
    epoch_began_at, pending_began_at, windows, grace_seconds, false AS is_deleted
