SELECT to_jsonb(t)::text FROM (
    SELECT p.tournament_id, p.occurrence, p.joined_at, p.attempts, s.rank, s.score, s.achieved_at
    FROM occurrences AS o
    INNER JOIN participants AS p ON o.tournament_id = p.tournament_id AND o.occurrence = p.occurrence
    LEFT JOIN standings AS s
        ON p.tournament_id = s.tournament_id AND p.occurrence = s.occurrence AND p.user_id = s.user_id
    WHERE p.user_id = $1
    ORDER BY p.joined_at
) AS t
