-- When the newest archived period of a board ended, of whatever epoch.
SELECT max(ended_at) FROM rankings WHERE leaderboard_id = $1 AND state = 'archived' AND part = ''
