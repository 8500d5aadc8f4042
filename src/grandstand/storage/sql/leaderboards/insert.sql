INSERT INTO leaderboards (key, definition, revision)
VALUES ($1, $2::jsonb, $3)
RETURNING leaderboard_id, key, definition, revision, epoch, resets, pending_definition, pending_epoch,
    false AS is_deleted
