-- Holds the minutes of players until the transaction ends, in one order, and makes those that are not there.
INSERT INTO plausibility_minutes AS held (leaderboard_id, user_id, minute, events, gain, touched_at)
SELECT wanted.leaderboard_id, wanted.user_id, wanted.minute, 0, 0, $4
FROM unnest($1::bigint [], $2::text [], $3::timestamptz []) AS wanted (leaderboard_id, user_id, minute)
ORDER BY wanted.leaderboard_id, wanted.user_id COLLATE "C", wanted.minute
ON CONFLICT (leaderboard_id, user_id, minute) DO UPDATE SET touched_at = excluded.touched_at
RETURNING held.leaderboard_id, held.user_id, held.minute, held.events, held.gain
