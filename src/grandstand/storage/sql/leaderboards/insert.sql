INSERT INTO leaderboards (key, definition, revision, ranking_id)
VALUES ($1, $2::jsonb, $3, nextval('ranking_ids'))
RETURNING leaderboard_id, key, definition, revision, ranking_id, false AS is_deleted
