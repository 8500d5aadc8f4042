SELECT prize_id, user_id, tournament_id, occurrence, rule, rank, kind, amount, metadata, status, awarded_at,
    claimed_at, expires_at
FROM prizes
WHERE user_id = $1
ORDER BY prize_id DESC
LIMIT $2
