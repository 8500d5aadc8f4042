SELECT user_id FROM player_devices WHERE device_hash = $1
