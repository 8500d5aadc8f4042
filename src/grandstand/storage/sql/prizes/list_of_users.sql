-- Of different users, up to so many each. The list of users is a query of its own, so that PostgreSQL does not plan anew
-- for each number of them: as a plain parameter one user would look cheaper by more than planning costs.
SELECT found.*
FROM unnest((SELECT $1::text[])) AS asked (user_id)
CROSS JOIN LATERAL (
    SELECT prize_id, user_id, tournament_id, occurrence, rule, rank, kind, amount, metadata, status, awarded_at,
        claimed_at, expires_at
    FROM prizes
    WHERE
        prizes.user_id = asked.user_id
        AND ($2::text IS NULL OR status = $2::text)
        AND ($3::text IS NULL OR tournament_id = $3::text)
        AND prize_id > $4
    ORDER BY prize_id
    LIMIT $5
) AS found
ORDER BY found.prize_id
