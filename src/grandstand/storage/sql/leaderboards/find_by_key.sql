SELECT leaderboard_id, key, definition, revision, epoch, resets, pending_definition, pending_epoch,
    false AS is_deleted
FROM leaderboards
WHERE key = $1 AND deleted_at IS NULL
