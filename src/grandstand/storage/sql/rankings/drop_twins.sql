-- Gives up those rankings of an epoch whose period is archived in another: archives stay as they are.
UPDATE rankings AS r SET state = 'dropped', is_swept = false
WHERE
    r.leaderboard_id = $1 AND r.epoch = $2
    AND EXISTS (
        SELECT 1 FROM rankings AS a
        WHERE
            a.leaderboard_id = $1 AND a.epoch <> $2 AND a.part = '' AND a.state = 'archived'
            AND a.started_at = r.started_at AND a.ended_at = r.ended_at
    )
