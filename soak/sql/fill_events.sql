-- $1 events received from $2 to $3, of $4 players. Ids rise with time, as those of clients do (UUIDv7).
INSERT INTO {table} (id, received_at, occurred_at, processed_at, event_type, user_id, payload)
SELECT
    uuidv7(e.at - now()), e.at, e.at, e.at,
    (ARRAY['game_ended', 'game_started', 'item_used', 'level_up'])[1 + n % 4],
    'player-' || lpad(((n * 7919) % $4)::text, 6, '0'),
    jsonb_build_object('score', (n * 104729) % 1000000, 'mode', 'ranked', 'map', 'orbital_station', 'won', n % 2 = 0)
FROM generate_series(0::bigint, $1::bigint - 1) AS n
CROSS JOIN LATERAL (SELECT $2::timestamptz + ($3::timestamptz - $2::timestamptz) * (n::float8 / $1::bigint) AS at) AS e
