-- Gives up the rankings of a deleted board, or ($2 set) what is not archived of every epoch but that one. A period is
-- archived once its whole is, which comes last.
UPDATE rankings AS r SET state = 'dropped', is_swept = false
WHERE
    r.leaderboard_id = $1 AND r.state <> 'dropped' AND r.epoch IS DISTINCT FROM $2::bigint
    AND (
        $2::bigint IS NULL
        OR NOT EXISTS (
            SELECT 1 FROM rankings AS w
            WHERE
                w.leaderboard_id = r.leaderboard_id AND w.epoch = r.epoch AND w.started_at = r.started_at
                AND w.part = '' AND w.state = 'archived'
        )
    )
