INSERT INTO player_devices (device_hash, user_id) VALUES ($1, $2)
ON CONFLICT (device_hash) DO NOTHING
