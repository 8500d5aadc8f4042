SELECT prize_id, user_id, tournament_id, occurrence, rule, rank, kind, amount, metadata, status, awarded_at,
    claimed_at, expires_at, claim_key
FROM prizes
WHERE prize_id = $1
