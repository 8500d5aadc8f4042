INSERT INTO tournaments (tournament_id, leaderboard_id, definition) VALUES ($1, $2, $3::jsonb)
