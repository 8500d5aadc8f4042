-- By the clock of this moment: the transaction may have begun before the caller looked at its own.
-- Only an expired row is locked: a candidate that finds a leader in office does not wait for its writers.
WITH taken AS (
    UPDATE leases
    SET holder = $2, streams_holder = $2, token = token + 1, expires_at = clock_timestamp() + make_interval(secs => $3)
    WHERE name = $1 AND expires_at <= clock_timestamp()
    RETURNING token
),

made AS (
    INSERT INTO leases (name, holder, streams_holder, token, expires_at)
    SELECT $1, $2, $2, 1, clock_timestamp() + make_interval(secs => $3)
    WHERE NOT EXISTS (SELECT FROM leases WHERE name = $1)
    ON CONFLICT DO NOTHING
    RETURNING token
)

SELECT token FROM taken
UNION ALL
SELECT token FROM made
