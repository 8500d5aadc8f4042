UPDATE players SET banned_at = NULL, ban_reason = NULL, updated_at = now()
WHERE user_id = $1 AND banned_at IS NOT NULL
RETURNING user_id
