-- Who stands elsewhere in ranking $2 than in ranking $1; $3 and $4 are the factors of their orders.
WITH before AS (
    SELECT user_id, score, row_number() OVER (ORDER BY score * $3::bigint, tie_key, achieved_at, user_id) AS rank
    FROM entries
    WHERE ranking_id = $1
),

after AS (
    SELECT user_id, score, row_number() OVER (ORDER BY score * $4::bigint, tie_key, achieved_at, user_id) AS rank
    FROM entries
    WHERE ranking_id = $2
)

SELECT
    coalesce(b.user_id, a.user_id) AS user_id, b.rank AS rank_before, a.rank AS rank_after, b.score AS score_before,
    a.score AS score_after, count(*) OVER () AS moved
FROM before AS b
FULL OUTER JOIN after AS a ON b.user_id = a.user_id
WHERE b.rank IS DISTINCT FROM a.rank OR b.score IS DISTINCT FROM a.score
ORDER BY least(b.rank, a.rank), coalesce(b.user_id, a.user_id)
LIMIT $5
