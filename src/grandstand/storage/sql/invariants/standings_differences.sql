-- Who stands otherwise than in the ranking that an occurrence was settled from: its archive, or its entries until it is
-- archived. A ban later on takes entries away and leaves standings.
WITH run AS (
    SELECT r.ranking_id, r.state
    FROM rankings AS r
    INNER JOIN leaderboards AS l ON r.leaderboard_id = l.leaderboard_id AND r.epoch = l.epoch
    WHERE r.leaderboard_id = $3 AND r.started_at = $4 AND r.part = ''
),

scored AS (
    SELECT a.user_id, a.score, a.achieved_at
    FROM archived_entries AS a
    INNER JOIN run ON a.ranking_id = run.ranking_id AND run.state = 'archived'
    UNION ALL
    SELECT e.user_id, e.score, e.achieved_at
    FROM entries AS e
    INNER JOIN run ON e.ranking_id = run.ranking_id AND run.state = 'closed'
),

stood AS (
    SELECT user_id, score, achieved_at FROM standings WHERE tournament_id = $1 AND occurrence = $2
)

SELECT coalesce(s.user_id, e.user_id) AS user_id, s.score AS stood, e.score AS scored, count(*) OVER () AS found
FROM stood AS s
FULL OUTER JOIN scored AS e ON s.user_id = e.user_id
LEFT JOIN players AS p ON s.user_id = p.user_id
WHERE
    (s.score, s.achieved_at) IS DISTINCT FROM (e.score, e.achieved_at)
    AND NOT (e.user_id IS NULL AND (p.banned_at IS NOT NULL OR p.unbanned_at IS NOT NULL))
ORDER BY 1
LIMIT $5
