-- Gives what was counted of a user to a pseudonym, but for the events received after $3: those stay.
-- Needs the ledger alone and an empty queue.
WITH newer AS (
    SELECT g.grain, date_trunc(g.grain, e.occurred_at, 'UTC') AS start,
        CASE WHEN g.is_any THEN '' ELSE e.event_type END AS event_type, count(*) AS events
    FROM events AS e
    CROSS JOIN (VALUES ('hour', false), ('day', false), ('day', true)) AS g (grain, is_any)
    WHERE e.user_id = $1 AND e.received_at > $3
    GROUP BY 1, 2, 3
),

held AS (
    SELECT u.grain, u.start, u.event_type, u.events - coalesce(n.events, 0) AS older
    FROM rollup_users AS u
    LEFT JOIN newer AS n ON u.grain = n.grain AND u.start = n.start AND u.event_type = n.event_type
    WHERE u.user_id = $1
),

given AS (
    INSERT INTO rollup_users (grain, start, event_type, user_id, events)
    SELECT grain, start, event_type, $2, older FROM held WHERE older > 0
    RETURNING grain, start, event_type
),

kept AS (
    UPDATE rollup_users AS u SET events = u.events - h.older
    FROM held AS h
    WHERE u.user_id = $1 AND u.grain = h.grain AND u.start = h.start AND u.event_type = h.event_type
        AND h.older > 0 AND u.events > h.older
    RETURNING u.grain, u.start, u.event_type
),

gone AS (
    DELETE FROM rollup_users AS u
    USING held AS h
    WHERE u.user_id = $1 AND u.grain = h.grain AND u.start = h.start AND u.event_type = h.event_type
        AND h.older > 0 AND u.events = h.older
)

UPDATE rollups AS r SET users = r.users + 1
FROM given AS g
INNER JOIN kept AS k ON g.grain = k.grain AND g.start = k.start AND g.event_type = k.event_type
WHERE r.grain = g.grain AND r.start = g.start AND r.event_type = g.event_type
