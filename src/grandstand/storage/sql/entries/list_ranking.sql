-- All entries of a ranking, in no order.
SELECT ranking_id, user_id, score, tie_key, achieved_at, metadata, version
FROM entries
WHERE ranking_id = $1
