SELECT r.user_id, r.rank
FROM (
    SELECT user_id, row_number() OVER (ORDER BY score * $2::bigint, tie_key, achieved_at, user_id) AS rank
    FROM entries
    WHERE ranking_id = $1
) AS r
WHERE r.user_id = ANY ($3::text [])
