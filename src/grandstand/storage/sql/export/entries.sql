SELECT to_jsonb(t)::text FROM (
    SELECT
        l.key AS leaderboard, r.started_at AS period_started_at, r.ended_at AS period_ends_at, r.part, r.state, e.score,
        e.total, e.achieved_at, e.event_id, e.metadata
    FROM rankings AS r
    INNER JOIN leaderboards AS l ON r.leaderboard_id = l.leaderboard_id
    INNER JOIN entries AS e ON r.ranking_id = e.ranking_id
    WHERE r.state IN ('live', 'closed') AND e.user_id = $1
    ORDER BY r.ranking_id
) AS t
