-- The whole keeps the definition as it is now: archives are read by the rule that made them.
UPDATE rankings AS r
SET
    state = 'archived', total = $2,
    definition = (
        SELECT l.definition FROM leaderboards AS l
        WHERE l.leaderboard_id = r.leaderboard_id AND l.epoch = r.epoch AND r.part = ''
    )
WHERE r.ranking_id = $1
