-- What every version since 0002 could hold: a board named after the version, with events and the entries they come to.
WITH new AS (UPDATE ledger SET leaderboards_revision = leaderboards_revision + 1 RETURNING leaderboards_revision)

INSERT INTO leaderboards (key, definition, revision)
SELECT 'VERSION', '{"event_type":"VERSION","operator":"sum","field":"score"}', leaderboards_revision FROM new;
INSERT INTO rankings (leaderboard_id, epoch, started_at)
SELECT leaderboard_id, epoch, '1800-01-01 00:00:00+00' FROM leaderboards WHERE key = 'VERSION';
INSERT INTO events (id, received_at, occurred_at, event_type, user_id, payload)
SELECT gen_random_uuid(), t, t, 'VERSION', 'p' || n, '{"score":1}'
FROM generate_series(1, 5) AS n, generate_series(1, n) AS k,
    LATERAL (SELECT '2024-10-06 12:00:00+00'::timestamptz + k * interval '1 hour' AS t) AS at;
INSERT INTO entries (ranking_id, user_id, score, achieved_at, event_id, version, total)
SELECT DISTINCT ON (e.user_id)
    r.ranking_id, e.user_id, count(*) OVER w, e.occurred_at, e.id, nextval('entry_versions'), count(*) OVER w
FROM rankings AS r INNER JOIN leaderboards AS b USING (leaderboard_id) INNER JOIN events AS e ON b.key = e.event_type
WHERE b.key = 'VERSION'
WINDOW w AS (PARTITION BY e.user_id)
ORDER BY e.user_id, e.occurred_at DESC;
