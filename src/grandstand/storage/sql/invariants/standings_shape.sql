-- What is wrong with the standings of an occurrence: $3 is the factor of the order.
SELECT s.user_id, s.problem, count(*) OVER () AS found
FROM (
    SELECT
        user_id,
        CASE
            WHEN rank <> row_number() OVER (ORDER BY rank) THEN 'stands at a rank that leaves a gap'
            WHEN rank <> row_number() OVER (ORDER BY score * $3::bigint, achieved_at, user_id)
                THEN 'stands at another rank than the score gives'
        END AS problem
    FROM standings
    WHERE tournament_id = $1 AND occurrence = $2
) AS s
WHERE s.problem IS NOT NULL
ORDER BY s.user_id
LIMIT $4
