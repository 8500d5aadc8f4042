DELETE FROM player_devices WHERE user_id = $1
