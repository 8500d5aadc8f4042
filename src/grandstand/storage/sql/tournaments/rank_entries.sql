-- The entries of a ranking in their order, for a cursor.
SELECT row_number() OVER (ORDER BY score * $2::bigint, tie_key, achieved_at, user_id) AS rank, user_id, score, achieved_at
FROM entries
WHERE ranking_id = $1
