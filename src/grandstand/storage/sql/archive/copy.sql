INSERT INTO archived_entries (ranking_id, rank, user_id, score, tie_key, achieved_at, metadata)
SELECT
    ranking_id, row_number() OVER (ORDER BY score * $2::bigint, tie_key, achieved_at, user_id), user_id, score, tie_key,
    achieved_at, metadata
FROM entries
WHERE ranking_id = $1
