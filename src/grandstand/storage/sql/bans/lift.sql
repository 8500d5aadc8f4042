UPDATE players SET banned_at = NULL, ban_reason = NULL, unbanned_at = $2, updated_at = now()
WHERE user_id = $1 AND banned_at IS NOT NULL
RETURNING user_id
