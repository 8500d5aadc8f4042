-- Ends a board's running periods at $3: a reset by hand.
UPDATE rankings SET ended_at = $3
WHERE leaderboard_id = $1 AND epoch = $2 AND started_at < $3 AND (ended_at IS NULL OR ended_at > $3)
