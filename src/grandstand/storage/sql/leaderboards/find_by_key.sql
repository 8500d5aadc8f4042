SELECT leaderboard_id, key, definition, revision, epoch, resets, pending_definition, pending_epoch,
    epoch_began_at, pending_began_at, windows, grace_seconds, false AS is_deleted
FROM leaderboards
WHERE key = $1 AND deleted_at IS NULL
