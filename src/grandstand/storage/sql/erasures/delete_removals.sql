DELETE FROM removals AS m
USING leaderboards AS l
WHERE m.leaderboard_id = l.leaderboard_id AND m.user_id = $1
