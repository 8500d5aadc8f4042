DELETE FROM player_revocations WHERE revoked_at < $1
