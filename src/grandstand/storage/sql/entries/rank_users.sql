SELECT r.rank, r.user_id, r.score, r.achieved_at
FROM (
    SELECT user_id, score, achieved_at, row_number() OVER (ORDER BY score * $2::bigint, achieved_at, user_id) AS rank
    FROM entries
    WHERE ranking_id = $1
) AS r
WHERE r.user_id = ANY ($3::text [])
ORDER BY r.rank
