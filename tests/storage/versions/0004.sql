-- A tournament that was settled and paid, and one that was cancelled before it began; a ban.
WITH new AS (
    INSERT INTO leaderboards (key, definition, revision, windows, grace_seconds)
    SELECT
        'tournament:' || id, '{"event_type":"cup","operator":"best","field":"score"}', 4,
        '[[1, "2024-10-05T00:00:00Z", "2024-10-06T00:00:00Z"]]', 120
    FROM unnest('{cup,off}'::text []) AS id
    RETURNING leaderboard_id, key
)

INSERT INTO tournaments (tournament_id, leaderboard_id, definition)
SELECT
    split_part(key, ':', 2), leaderboard_id,
    '{"starts_at":"2024-10-05T00:00:00Z","ends_at":"2024-10-06T00:00:00Z","event_type":"cup","operator":"best",
      "field":"score","prizes":[{"from":1,"kind":"gold","amount":5}]}'
FROM new;
UPDATE ledger SET leaderboards_revision = 4;
INSERT INTO occurrences (tournament_id, occurrence, starts_at, ends_at, status, players, settled_at) VALUES
('cup', 1, '2024-10-05 00:00:00+00', '2024-10-06 00:00:00+00', 'settled', 1, '2024-10-06 00:05:00+00'),
('off', 1, '2099-10-05 00:00:00+00', '2099-10-06 00:00:00+00', 'cancelled', 0, NULL);
INSERT INTO rankings (leaderboard_id, epoch, started_at, ended_at, state, total, placed, is_swept)
SELECT leaderboard_id, epoch, '2024-10-05 00:00:00+00', '2024-10-06 00:00:00+00', 'archived', 1, 1, true
FROM leaderboards WHERE key = 'tournament:cup';
INSERT INTO archived_entries (ranking_id, rank, user_id, score, tie_key, achieved_at)
SELECT ranking_id, 1, 'ann', 9, '', '2024-10-05 12:00:00+00'
FROM rankings INNER JOIN leaderboards USING (leaderboard_id) WHERE key = 'tournament:cup';
INSERT INTO events (id, received_at, occurred_at, event_type, user_id, payload)
VALUES (
    gen_random_uuid(), '2024-10-05 12:00:00+00', '2024-10-05 12:00:00+00', 'cup', 'ann',
    '{"score":9,"tournament_id":"cup"}'
);
INSERT INTO participants (tournament_id, occurrence, user_id, attempts) VALUES ('cup', 1, 'ann', 1);
INSERT INTO standings VALUES ('cup', 1, 1, 'ann', 9, '2024-10-05 12:00:00+00');
INSERT INTO prizes (
    prize_id, tournament_id, occurrence, user_id, rule, rank, kind, amount, status, awarded_at, expires_at, claimed_at
) VALUES (
    '00000000-0000-0000-0000-000000000003', 'cup', 1, 'ann', 0, 1, 'gold', 5, 'claimed', '2024-10-06 00:05:00+00',
    '2099-10-06 00:05:00+00', '2024-10-07 00:00:00+00'
);
INSERT INTO prize_steps (prize_id, status, at, actor) VALUES
('00000000-0000-0000-0000-000000000003', 'pending', '2024-10-06 00:05:00+00', 'settlement'),
('00000000-0000-0000-0000-000000000003', 'claimed', '2024-10-07 00:00:00+00', 'ann');
INSERT INTO players (user_id, banned_at, ban_reason) VALUES ('cheat', '2024-10-07 00:00:00+00', 'cheats');
