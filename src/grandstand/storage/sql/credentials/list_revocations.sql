SELECT user_id, revoked_at FROM player_revocations WHERE revoked_at > $1
