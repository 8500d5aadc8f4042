INSERT INTO player_revocations (user_id, revoked_at) VALUES ($1, $2)
ON CONFLICT (user_id) DO UPDATE SET revoked_at = greatest(player_revocations.revoked_at, excluded.revoked_at)
