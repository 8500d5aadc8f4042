-- Stores about $1 events of $2 players in the $3 days before $4, as visits of three events each within 12 minutes. Players and
-- times follow from the seed that the session was given; ids follow the time.
INSERT INTO events (id, received_at, occurred_at, event_type, user_id, payload)
SELECT
    uuidv7(v.at + s.after - now()), v.at + s.after + interval '1 second', v.at + s.after, s.event_type, v.user_id,
    jsonb_build_object('score', v.score, 'platform', v.platform)
FROM (
    SELECT
        $4::timestamptz - $3::int * interval '1 day' * (1 - (n + random()) / ceil($1::int / 3.0)) AS at,
        'player-' || lpad(floor(random() * $2::int)::bigint::text, 7, '0') AS user_id,
        floor(random() * 1000000)::int AS score,
        (ARRAY['ios', 'android', 'web'])[1 + floor(random() * 3)::int] AS platform
    FROM generate_series(0, ceil($1::int / 3.0)::int - 1) AS n
) AS v
CROSS JOIN (
    VALUES ('session_started', interval '0'), ('game_ended', interval '5 minutes'), ('purchase', interval '12 minutes')
) AS s (event_type, after)
