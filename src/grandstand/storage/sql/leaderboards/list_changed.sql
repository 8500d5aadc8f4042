-- Boards of tournaments come with the tournament's definition: what decides who may score.
SELECT
    l.leaderboard_id, l.key, l.definition, l.revision, l.epoch, l.resets, l.pending_definition, l.pending_epoch,
    l.epoch_began_at, l.pending_began_at, l.windows, l.grace_seconds, l.deleted_at IS NOT NULL AS is_deleted,
    t.definition AS tournament
FROM leaderboards AS l
LEFT JOIN tournaments AS t ON l.leaderboard_id = t.leaderboard_id
WHERE l.revision > $1
ORDER BY l.revision
