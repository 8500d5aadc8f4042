-- Of the epochs in force only. A whole comes after its parts: once it is archived, all of its period is.
-- A tournament's ranking stays until the occurrence is settled or cancelled: settling reads its entries.
SELECT r.ranking_id, r.leaderboard_id, r.epoch, r.started_at, r.part, r.ended_at, r.state, r.total
FROM rankings AS r
INNER JOIN leaderboards AS l ON r.leaderboard_id = l.leaderboard_id AND r.epoch = l.epoch
WHERE
    r.state IN ('live', 'closed') AND r.ended_at <= $1
    AND NOT EXISTS (
        SELECT 1
        FROM tournaments AS t
        INNER JOIN occurrences AS o ON t.tournament_id = o.tournament_id
        WHERE
            t.leaderboard_id = r.leaderboard_id AND o.starts_at = r.started_at
            AND o.status NOT IN ('settled', 'cancelled')
    )
ORDER BY r.ended_at, r.leaderboard_id, r.part DESC
LIMIT $2
