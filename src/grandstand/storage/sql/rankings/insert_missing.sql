-- Makes those rankings that are missing. The caller sorts the names, so that two batches lock in one order.
INSERT INTO rankings (leaderboard_id, epoch, started_at, ended_at, part)
SELECT w.leaderboard_id, w.epoch, w.started_at, w.ended_at, w.part
FROM unnest($1::bigint [], $2::bigint [], $3::timestamptz [], $4::timestamptz [], $5::text [])
    AS w (leaderboard_id, epoch, started_at, ended_at, part)
ON CONFLICT (leaderboard_id, epoch, started_at, part) DO NOTHING
RETURNING ranking_id
