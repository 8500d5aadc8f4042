-- Prizes that are in no state a prize can be in, or whose steps tell another story.
SELECT w.prize_id, w.problem, count(*) OVER () AS found
FROM (
    SELECT
        p.prize_id,
        CASE
            WHEN o.status IS DISTINCT FROM 'settled' THEN 'is of an occurrence that is not settled'
            WHEN (p.status = 'claimed') <> (p.claimed_at IS NOT NULL) THEN 'has another status than its claim says'
            WHEN (p.status = 'voided') <> (p.voided_at IS NOT NULL) THEN 'has another status than its voiding says'
            WHEN p.status = 'claimed' AND p.claimed_at >= p.expires_at THEN 'was claimed after it had expired'
            WHEN
                s.steps IS DISTINCT FROM CASE
                    WHEN p.status = 'pending' THEN ARRAY['pending'] ELSE ARRAY['pending', p.status]
                END
                THEN 'has steps that do not lead to its status'
        END AS problem
    FROM prizes AS p
    LEFT JOIN occurrences AS o ON p.tournament_id = o.tournament_id AND p.occurrence = o.occurrence
    LEFT JOIN LATERAL (
        SELECT array_agg(t.status ORDER BY t.step_id) AS steps FROM prize_steps AS t WHERE t.prize_id = p.prize_id
    ) AS s ON true
    WHERE $1::text IS NULL OR p.tournament_id = $1::text AND p.occurrence = $2::integer
) AS w
WHERE w.problem IS NOT NULL
ORDER BY w.prize_id
LIMIT $3
