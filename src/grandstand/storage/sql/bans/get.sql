SELECT banned_at, ban_reason FROM players WHERE user_id = $1 AND banned_at IS NOT NULL
