INSERT INTO tournaments (tournament_id, leaderboard_id, definition, created_at, updated_at)
VALUES ($1, $2, $3::jsonb, $4, $4)
