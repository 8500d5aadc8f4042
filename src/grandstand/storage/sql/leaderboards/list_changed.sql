-- Boards of tournaments come with the tournament's definition, which decides who may score, and with those of the
-- occurrences that have rules of their own and may still take scores.
SELECT
    l.leaderboard_id, l.key, l.definition, l.revision, l.epoch, l.resets, l.pending_definition, l.pending_epoch,
    l.epoch_began_at, l.pending_began_at, l.windows, l.grace_seconds, l.deleted_at IS NOT NULL AS is_deleted,
    t.definition AS tournament,
    (
        SELECT jsonb_object_agg(o.occurrence, o.definition) FROM occurrences AS o
        WHERE o.tournament_id = t.tournament_id AND o.status IN ('active', 'ended') AND o.definition IS NOT NULL
    ) AS occurrences
FROM leaderboards AS l
LEFT JOIN tournaments AS t ON l.leaderboard_id = t.leaderboard_id
WHERE l.revision > $1
ORDER BY l.revision
