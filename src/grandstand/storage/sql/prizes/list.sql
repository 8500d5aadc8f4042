SELECT prize_id, user_id, tournament_id, occurrence, rule, rank, kind, amount, metadata, status, awarded_at,
    claimed_at, expires_at
FROM prizes
WHERE
    ($1::text IS NULL OR status = $1::text)
    AND ($2::text IS NULL OR tournament_id = $2::text)
    AND prize_id > $3
ORDER BY prize_id
LIMIT $4
