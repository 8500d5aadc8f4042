SELECT ranking_id, state FROM rankings
WHERE state IN ('archived', 'dropped') AND NOT is_swept
ORDER BY ranking_id
LIMIT $1
