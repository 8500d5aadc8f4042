-- A board's periods that have ended, newest first, before a start. Archives stay when a replay swaps epochs; of two with
-- one start the newer epoch counts, as it does for readers, also while it has not ended.
SELECT p.*
FROM (
    SELECT DISTINCT ON (r.started_at)
        r.ranking_id, r.leaderboard_id, r.epoch, r.started_at, r.part, r.ended_at, r.state, r.total
    FROM rankings AS r
    WHERE
        r.leaderboard_id = $1 AND (r.epoch = $2 OR r.state = 'archived') AND r.state <> 'dropped' AND r.part = ''
        AND r.started_at < $4
    ORDER BY r.started_at DESC, r.epoch DESC
) AS p
WHERE p.ended_at <= $3
ORDER BY p.started_at DESC
LIMIT $5
