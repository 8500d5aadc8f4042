-- A period that is archived, a removal, players, and a board whose entries have tie keys and metadata.
INSERT INTO leaderboards (key, definition, revision, resets)
VALUES (
    'weekly', '{"event_type":"none","operator":"best","field":"score","keep":["level"],"period":"weekly"}', 3,
    '{2024-10-08 00:00:00+00}'
);
UPDATE ledger SET leaderboards_revision = 3;
INSERT INTO rankings (leaderboard_id, epoch, started_at, ended_at, state, total, placed, is_swept)
SELECT leaderboard_id, epoch, '2024-10-07 00:00:00+00', '2024-10-08 00:00:00+00', 'archived', 1, 1, true
FROM leaderboards WHERE key = 'weekly';
INSERT INTO archived_entries (ranking_id, rank, user_id, score, tie_key, achieved_at, metadata)
SELECT ranking_id, 1, 'ann', 7, '', '2024-10-07 12:00:00+00', '{"level":3}' FROM rankings WHERE state = 'archived';
INSERT INTO removals (leaderboard_id, user_id, removed_at)
SELECT leaderboard_id, 'cheat', '2024-10-07 00:00:00+00' FROM leaderboards WHERE key = 'weekly';
INSERT INTO players (user_id, display_name, country) VALUES ('p1', 'Ann', 'DE'), ('ann', 'Ann', NULL);
