UPDATE prizes SET status = 'claimed', claimed_at = $2, claim_key = $3
WHERE prize_id = $1 AND status = 'pending' AND expires_at > $2
RETURNING prize_id, user_id, tournament_id, occurrence, rule, rank, kind, amount, metadata, status, awarded_at,
    claimed_at, expires_at
