SELECT leaderboard_id, key, definition, revision, epoch, resets, pending_definition, pending_epoch,
    deleted_at IS NOT NULL AS is_deleted
FROM leaderboards
WHERE revision > $1
ORDER BY revision
