-- Rankings that may have an index, behind $1; `is_over` when nobody reads it any more.
SELECT ranking_id, state IN ('archived', 'dropped') AS is_over FROM rankings
WHERE ranking_id > $1 AND NOT is_swept
ORDER BY ranking_id
LIMIT $2
