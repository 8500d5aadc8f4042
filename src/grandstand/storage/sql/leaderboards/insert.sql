INSERT INTO leaderboards (key, definition, revision, grace_seconds)
VALUES ($1, $2::jsonb, $3, $4)
RETURNING leaderboard_id, key, definition, revision, epoch, resets, pending_definition, pending_epoch,
    epoch_began_at, pending_began_at, windows, grace_seconds, false AS is_deleted
