SELECT to_jsonb(t)::text FROM (
    SELECT
        l.key AS leaderboard, r.started_at AS period_started_at, r.ended_at AS period_ended_at, r.part, a.rank, r.total,
        a.score, a.achieved_at, a.metadata
    FROM rankings AS r
    INNER JOIN leaderboards AS l ON r.leaderboard_id = l.leaderboard_id
    INNER JOIN archived_entries AS a ON r.ranking_id = a.ranking_id
    WHERE r.state = 'archived' AND a.user_id = $1
    ORDER BY r.ranking_id
) AS t
