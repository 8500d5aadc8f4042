-- A small deployment of the first version: a month of events, boards of which one is deleted, keys.
CREATE TABLE events_2024_10 PARTITION OF events FOR VALUES FROM ('2024-10-01 00:00:00+00') TO ('2024-11-01 00:00:00+00');
CREATE UNIQUE INDEX events_2024_10_id ON events_2024_10 (id);
UPDATE ledger SET open_month = '2024-10-01', leaderboards_revision = 2;
INSERT INTO leaderboards (key, definition, revision, ranking_id, deleted_at) VALUES
('v0001', '{"event_type":"v0001","operator":"sum","field":"score"}', 1, nextval('ranking_ids'), NULL),
('gone', '{"event_type":"v0001","operator":"count"}', 2, nextval('ranking_ids'), '2024-10-09 00:00:00+00');
INSERT INTO events (id, received_at, occurred_at, event_type, user_id, payload)
SELECT gen_random_uuid(), t, t, 'v0001', 'p' || n, '{"score":1}'
FROM generate_series(1, 5) AS n, generate_series(1, n) AS k,
    LATERAL (SELECT '2024-10-05 12:00:00+00'::timestamptz + k * interval '1 hour' AS t) AS at;
INSERT INTO entries (ranking_id, user_id, score, achieved_at, event_id, version, total)
SELECT DISTINCT ON (b.leaderboard_id, e.user_id)
    b.ranking_id, e.user_id, count(*) OVER w, e.occurred_at, e.id, nextval('entry_versions'), count(*) OVER w
FROM leaderboards AS b, events AS e
WINDOW w AS (PARTITION BY b.leaderboard_id, e.user_id)
ORDER BY b.leaderboard_id, e.user_id, e.occurred_at DESC;
INSERT INTO api_keys (key_id, kind, name, key_hash) VALUES ('k1', 'server', 'first', '\x01');
INSERT INTO deployment_secrets VALUES ('pepper', '\x02');
INSERT INTO player_devices (device_hash, user_id) VALUES ('\x03', 'p1');
