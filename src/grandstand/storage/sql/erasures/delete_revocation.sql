DELETE FROM player_revocations WHERE user_id = $1
