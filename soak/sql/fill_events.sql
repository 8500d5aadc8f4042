-- $1 events received from $2 to $3, of $4 players, the busiest first in `players`; types, payloads and how much each player
-- does are those of bench/workload.py. Ids rise with time, as those of clients do (UUIDv7).
INSERT INTO {table} (id, received_at, occurred_at, processed_at, event_type, user_id, payload)
SELECT
    uuidv7(e.at - now()), e.at, e.at, e.at,
    (ARRAY['game_ended', 'game_started', 'item_used', 'level_up', 'purchase'])[1 + floor(e.chance * 5)::int],
    p.user_id,
    jsonb_build_object('score', (e.n * 104729) % 1000000, 'mode', 'ranked', 'map', 'orbital_station', 'won', e.n % 2 = 0)
FROM (
    SELECT
        n,
        random() AS chance,
        $2::timestamptz + ($3::timestamptz - $2::timestamptz) * (n::float8 / $1::bigint) AS at,
        floor(50 * (power(($4::int + 50) / 50::float8, random()) - 1))::int AS place
    FROM generate_series(0::bigint, $1::bigint - 1) AS n
    OFFSET 0
) AS e
INNER JOIN {players} AS p ON e.place = p.place
