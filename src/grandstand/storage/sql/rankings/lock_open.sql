-- Waits for the archiving that is under way, so that the next statement sees its outcome.
SELECT 1 FROM rankings WHERE leaderboard_id = $1 AND state IN ('live', 'closed') ORDER BY ranking_id FOR UPDATE
