-- What a device is known by is a hash that is of no use to anybody.
SELECT to_jsonb(t)::text FROM (
    SELECT created_at FROM player_devices
    WHERE user_id = $1
    ORDER BY created_at
) AS t
