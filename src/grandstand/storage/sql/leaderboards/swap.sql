-- Puts a definition and the epoch that was made by it in force, and ends the replay that made them. $6: whether the epoch
-- holds what was stored before, too.
UPDATE leaderboards
SET
    definition = $2::jsonb, revision = $3, epoch = $4, epoch_began_at = $5,
    pending_definition = NULL, pending_epoch = NULL, pending_began_at = NULL, updated_at = now(),
    counts_since = CASE WHEN $6::boolean THEN '1800-01-01 00:00:00+00'::timestamptz ELSE statement_timestamp() END
WHERE leaderboard_id = $1
RETURNING leaderboard_id, key, definition, revision, epoch, resets, pending_definition, pending_epoch,
    epoch_began_at, pending_began_at, windows, grace_seconds, false AS is_deleted
