SELECT r.rank, r.user_id, r.score, r.tie_key, r.achieved_at, r.metadata
FROM (
    SELECT
        user_id, score, tie_key, achieved_at, metadata,
        row_number() OVER (ORDER BY score * $2::bigint, tie_key, achieved_at, user_id) AS rank
    FROM entries
    WHERE ranking_id = $1
) AS r
WHERE r.user_id = ANY ($3::text [])
ORDER BY r.rank
