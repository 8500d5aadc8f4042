SELECT count(*)
FROM entries
WHERE
    ranking_id = $1
    AND (score * $2::bigint, tie_key, achieved_at, user_id)
    <= ($3::bigint, $4::bytea, $5::timestamptz, $6::text)
