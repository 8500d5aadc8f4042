INSERT INTO removals (leaderboard_id, user_id, removed_at)
VALUES ($1, $2, $3)
ON CONFLICT (leaderboard_id, user_id) DO UPDATE SET removed_at = greatest(removals.removed_at, excluded.removed_at)
