INSERT INTO standings (tournament_id, occurrence, rank, user_id, score, achieved_at)
SELECT
    $1, $2, row_number() OVER (ORDER BY score * $4::bigint, tie_key, achieved_at, user_id), user_id, score, achieved_at
FROM entries
WHERE ranking_id = $3
