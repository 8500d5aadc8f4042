SELECT prize_id, user_id, tournament_id, occurrence, rule, rank, kind, amount, metadata, status, awarded_at,
    claimed_at, expires_at
FROM prizes
WHERE
    user_id = $1
    AND ($2::text IS NULL OR status = $2::text)
    AND ($3::text IS NULL OR tournament_id = $3::text)
    AND prize_id > $4
ORDER BY prize_id
LIMIT $5
