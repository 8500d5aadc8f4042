SELECT to_jsonb(t)::text FROM (
    SELECT l.key AS leaderboard, m.removed_at
    FROM leaderboards AS l
    INNER JOIN removals AS m ON l.leaderboard_id = m.leaderboard_id
    WHERE m.user_id = $1
    ORDER BY m.removed_at
) AS t
