-- Gives up what a replay made that is not put in force.
UPDATE rankings SET state = 'dropped', is_swept = false WHERE leaderboard_id = $1 AND epoch = $2
