SELECT count(*) FROM rankings
WHERE leaderboard_id = $1 AND epoch = $2 AND started_at = $3 AND part LIKE 's:%'
