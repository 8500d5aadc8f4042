INSERT INTO players AS p (user_id, banned_at, ban_reason)
VALUES ($1, $2, $3)
ON CONFLICT (user_id) DO UPDATE
    SET banned_at = coalesce(p.banned_at, excluded.banned_at), ban_reason = excluded.ban_reason, updated_at = now()
RETURNING banned_at
