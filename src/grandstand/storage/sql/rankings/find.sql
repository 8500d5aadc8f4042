-- Archives answer for every epoch, the rest only for its own; the newest epoch comes first.
SELECT r.ranking_id, r.leaderboard_id, r.epoch, r.started_at, r.part, r.ended_at, r.state, r.total
FROM unnest($1::bigint [], $2::bigint [], $3::timestamptz [], $4::text [])
    AS w (leaderboard_id, epoch, started_at, part)
INNER JOIN rankings AS r
    ON
        w.leaderboard_id = r.leaderboard_id AND w.started_at = r.started_at AND w.part = r.part
        AND (w.epoch = r.epoch OR r.state = 'archived') AND r.state <> 'dropped'
ORDER BY r.epoch DESC
