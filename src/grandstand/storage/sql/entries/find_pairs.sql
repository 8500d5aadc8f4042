SELECT e.ranking_id, e.user_id, e.score, e.tie_key, e.achieved_at, e.metadata, e.version
FROM unnest($1::bigint [], $2::text []) AS i (ranking_id, user_id)
INNER JOIN entries AS e ON i.ranking_id = e.ranking_id AND i.user_id = e.user_id
