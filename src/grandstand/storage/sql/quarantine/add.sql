INSERT INTO quarantine (
    quarantine_id, event_id, leaderboard_id, user_id, event_type, score, occurred_at, received_at, reason, quarantined_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (event_id, leaderboard_id) DO NOTHING
