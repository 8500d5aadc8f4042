-- Those of the named rankings that do not exist in the epoch in force, in whatever state, and whose period is archived in no
-- other. $4: how many segments a period may have; beyond them no ranking is made.
SELECT w.leaderboard_id, w.started_at, w.part
FROM unnest($1::bigint [], $2::timestamptz [], $3::text []) AS w (leaderboard_id, started_at, part)
INNER JOIN leaderboards AS l ON w.leaderboard_id = l.leaderboard_id
WHERE
    NOT EXISTS (
        SELECT FROM rankings AS r
        WHERE
            r.leaderboard_id = w.leaderboard_id AND r.started_at = w.started_at AND r.part = w.part
            AND (r.epoch = l.epoch OR r.state = 'archived')
    )
    AND (
        w.part = ''
        OR (
            SELECT count(*) FROM rankings AS s
            WHERE
                s.leaderboard_id = w.leaderboard_id AND s.epoch = l.epoch AND s.started_at = w.started_at
                AND s.part LIKE 's:%'
        ) < $4
    )
