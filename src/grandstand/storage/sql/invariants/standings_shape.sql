-- What is wrong with the standings of an occurrence: $3 is the factor of the order.
SELECT s.user_id, s.problem, count(*) OVER () AS found
FROM (
    SELECT
        user_id,
        CASE
            WHEN rank <> row_number() OVER (ORDER BY rank) THEN 'stands at a rank that leaves a gap'
            -- Among equals of whom one is erased, and has no id any more that the rank goes by, the ranks are as they are.
            WHEN rank <> row_number() OVER (
                ORDER BY score * $3::bigint, achieved_at, CASE WHEN has_erased THEN rank END, user_id
            )
                THEN 'stands at another rank than the score gives'
        END AS problem
    FROM (
        SELECT t.*, bool_or(p.is_erased) OVER (PARTITION BY t.score, t.achieved_at) IS TRUE AS has_erased
        FROM standings AS t
        LEFT JOIN players AS p ON t.user_id = p.user_id AND p.is_erased
        WHERE t.tournament_id = $1 AND t.occurrence = $2
    ) AS e
) AS s
WHERE s.problem IS NOT NULL
ORDER BY s.user_id
LIMIT $4
