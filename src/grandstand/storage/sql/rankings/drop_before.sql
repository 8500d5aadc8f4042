-- Gives up those rankings of an epoch whose period ended by $3: archives have those times.
UPDATE rankings SET state = 'dropped', is_swept = false WHERE leaderboard_id = $1 AND epoch = $2 AND ended_at <= $3
