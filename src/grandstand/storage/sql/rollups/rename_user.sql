-- Gives what was counted of a user to a pseudonym, but for the events received after $3: those stay. The events themselves
-- are renamed by now. Where both were seen there is a user more.
-- Needs the ledger alone, the lock and an empty queue.
WITH stored AS MATERIALIZED (
    SELECT s.day, coalesce(s.event_type, '') AS event_type, s.is_newer, bit_or(1 << s.hour) AS hours
    FROM (
        SELECT
            (occurred_at AT TIME ZONE 'UTC')::date AS day,
            date_part('hour', occurred_at AT TIME ZONE 'UTC')::int AS hour,
            event_type, user_id = $1 AS is_newer
        FROM events
        WHERE user_id = $2 OR (user_id = $1 AND received_at > $3)
    ) AS s
    GROUP BY GROUPING SETS ((s.day, s.event_type, s.is_newer), (s.day, s.is_newer))
),

held AS MATERIALIZED (
    -- There is no index by user for the sake of an erasure: days and types are few.
    SELECT u.day, u.event_type, u.hours, coalesce(n.hours, 0) AS newer, coalesce(o.hours, 0) AS older
    FROM rollups AS r
    INNER JOIN rollup_users AS u
        ON (r.start AT TIME ZONE 'UTC')::date = u.day AND r.event_type = u.event_type AND u.user_id = $1
    LEFT JOIN stored AS n ON u.day = n.day AND u.event_type = n.event_type AND n.is_newer
    LEFT JOIN stored AS o ON u.day = o.day AND u.event_type = o.event_type AND NOT o.is_newer
    WHERE r.grain = 'day'
),

given AS (
    INSERT INTO rollup_users (day, event_type, user_id, hours)
    SELECT day, event_type, $2, hours & (~newer | older) FROM held
    WHERE hours & (~newer | older) <> 0
),

kept AS (
    UPDATE rollup_users AS u SET hours = h.newer
    FROM held AS h
    WHERE u.day = h.day AND u.event_type = h.event_type AND u.user_id = $1 AND h.newer <> 0
),

gone AS (
    DELETE FROM rollup_users AS u
    USING held AS h
    WHERE u.day = h.day AND u.event_type = h.event_type AND u.user_id = $1 AND h.newer = 0
)

UPDATE rollups AS r SET users = r.users + 1
FROM held AS h
WHERE
    h.newer <> 0
    AND r.event_type = h.event_type
    AND (
        (r.grain = 'day' AND r.start = h.day::timestamp AT TIME ZONE 'UTC' AND h.hours & (~h.newer | h.older) <> 0)
        OR (
            r.grain = 'hour' AND (r.start AT TIME ZONE 'UTC')::date = h.day
            AND (h.newer & h.older) >> date_part('hour', r.start AT TIME ZONE 'UTC')::int & 1 = 1
        )
    )
