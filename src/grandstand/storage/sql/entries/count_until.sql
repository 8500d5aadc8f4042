SELECT count(*)
FROM entries
WHERE ranking_id = $1 AND (score * $2::bigint, achieved_at, user_id) <= ($3::bigint, $4::timestamptz, $5::text)
