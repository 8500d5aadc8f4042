-- An event that was held back, and counts since it was released.
INSERT INTO quarantine (
    quarantine_id, event_id, leaderboard_id, user_id, event_type, score, occurred_at, received_at, reason, status,
    quarantined_at, decided_at, counts
)
SELECT
    gen_random_uuid(), e.id, b.leaderboard_id, e.user_id, e.event_type, 1, e.occurred_at, e.received_at, 'score_above_max',
    'released', e.received_at, e.received_at, true
FROM events AS e INNER JOIN leaderboards AS b ON e.event_type = b.key
WHERE b.key = 'v0001' AND e.user_id = 'p1';
