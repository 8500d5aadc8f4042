-- Counts the queued batches $1. Whoever was seen in that hour with that type before changes nothing but the number of events.
-- Needs the lock: what is held must not change between the look at it and the write.
WITH seen AS MATERIALIZED (
    -- Of a zone the name would be looked up at each event: hours come first, and days and their hours follow.
    -- No event is older than what hours are counted from: before it, PostgreSQL of some years is an hour early.
    SELECT
        h.event_type, h.user_id, (h.start AT TIME ZONE 'UTC')::date AS day,
        date_part('hour', h.start AT TIME ZONE 'UTC')::int AS hour, h.events
    FROM (
        SELECT date_bin('1 hour', e.occurred_at, '1000-01-01 00:00Z') AS start, e.event_type, e.user_id, count(*) AS events
        FROM (
            SELECT unnest(event_types) AS event_type, unnest(user_ids) AS user_id, unnest(occurred_at) AS occurred_at
            FROM rollup_queue
            WHERE batch_id = ANY ($1::bigint [])
        ) AS e
        GROUP BY 1, 2, 3
    ) AS h
),

of_types AS MATERIALIZED (
    -- Wherever OFFSET stands each is looked up by itself: the planner may think a table empty, and join all of it.
    SELECT s.day, s.event_type, s.user_id, s.hours, coalesce(u.hours, 0) AS held, u.ctid AS place
    FROM (
        SELECT day, event_type, user_id, bit_or(1 << hour) AS hours FROM seen
        GROUP BY day, event_type, user_id
    ) AS s
    LEFT JOIN LATERAL (
        SELECT h.hours, h.ctid FROM rollup_users AS h
        WHERE h.day = s.day AND h.event_type = s.event_type AND h.user_id = s.user_id
        OFFSET 0
    ) AS u ON true
    WHERE s.hours & ~coalesce(u.hours, 0) <> 0
),

fresh AS MATERIALIZED (
    SELECT day, event_type, user_id, hours, held, place FROM of_types
    UNION ALL
    -- Only whose hour is new with some type may have a new one with all together.
    SELECT s.day, '', s.user_id, s.hours, coalesce(u.hours, 0), u.ctid
    FROM (
        SELECT day, user_id, bit_or(hours & ~held) AS hours FROM of_types
        GROUP BY day, user_id
    ) AS s
    LEFT JOIN LATERAL (
        SELECT h.hours, h.ctid FROM rollup_users AS h
        WHERE h.day = s.day AND h.event_type = '' AND h.user_id = s.user_id
        OFFSET 0
    ) AS u ON true
    WHERE s.hours & ~coalesce(u.hours, 0) <> 0
),

-- Two statements, for an INSERT that may conflict looks every row up once more and locks it before it writes.
changed AS (
    UPDATE rollup_users AS u SET hours = f.held | f.hours
    FROM fresh AS f
    WHERE u.ctid = f.place
),

added AS (
    INSERT INTO rollup_users (day, event_type, user_id, hours)
    SELECT day, event_type, user_id, hours FROM fresh
    WHERE held = 0
    ORDER BY day, event_type, user_id
),

-- What days of users change for: those who were not seen on a day before.
arrived AS MATERIALIZED (
    SELECT user_id, day FROM fresh
    WHERE event_type = '' AND held = 0
),

opened AS MATERIALIZED (
    -- Days of which nothing was counted are kept from their first user on.
    SELECT a.day
    FROM (SELECT DISTINCT day FROM arrived) AS a
    WHERE NOT EXISTS (
        SELECT FROM rollups AS r
        WHERE r.grain = 'day' AND r.start = a.day::timestamp AT TIME ZONE 'UTC' AND r.event_type = ''
        OFFSET 0
    )
),

near AS MATERIALIZED (
    -- Further away nothing changes.
    SELECT a.user_id, a.day AS arrived_on, u.day
    FROM arrived AS a
    CROSS JOIN LATERAL (
        SELECT n.day FROM rollup_users AS n
        WHERE n.event_type = '' AND n.user_id = a.user_id AND n.day BETWEEN a.day - 30 AND a.day + 29
        OFFSET 0
    ) AS u
),

days AS MATERIALIZED (
    SELECT c.day, c.kind, c.number, sum(c.users) AS users
    FROM (
        SELECT day, 'stay' AS kind, least(coalesce(lead(day) OVER next_day - day, 30), 30) AS number, 1 AS users
        FROM (
            SELECT DISTINCT user_id, day FROM near
            UNION ALL
            SELECT user_id, day FROM arrived
        ) AS after_it
        WINDOW next_day AS (PARTITION BY user_id ORDER BY day)
        UNION ALL
        SELECT day, 'stay', least(coalesce(lead(day) OVER next_day - day, 30), 30), -1
        FROM (SELECT DISTINCT user_id, day FROM near) AS before_it
        WINDOW next_day AS (PARTITION BY user_id ORDER BY day)
        UNION ALL
        -- By the first event that is known so far; `keep_first` moves who turns out to have had an earlier one.
        SELECT n.day, 'cohort', n.arrived_on - n.day, 1
        FROM near AS n
        CROSS JOIN LATERAL (
            SELECT FROM first_events AS f
            WHERE f.user_id = n.user_id AND (f.occurred_at AT TIME ZONE 'UTC')::date = n.day
            OFFSET 0
        ) AS first
        WHERE n.arrived_on - n.day IN (1, 7, 30)
        UNION ALL
        SELECT day, 'cohort', 0, 0 FROM opened
        UNION ALL
        -- Of days that wait to be filled only how many users there are.
        SELECT day, 'stay', 0, 1 FROM arrived
    ) AS c
    GROUP BY c.day, c.kind, c.number
),

stayed AS (
    INSERT INTO rollup_days AS d (day, kind, number, users)
    SELECT s.day, s.kind, s.number, s.users FROM days AS s
    WHERE
        (s.users <> 0 OR s.number = 0)
        AND (
            EXISTS (
                SELECT FROM rollup_days AS k
                WHERE
                    k.day = s.day AND k.number = 0
                    AND k.kind = CASE WHEN s.kind = 'stay' AND s.number = 0 THEN 'stay' ELSE 'cohort' END
                OFFSET 0
            )
            OR (s.day IN (SELECT o.day FROM opened AS o) AND (s.kind <> 'stay' OR s.number <> 0))
        )
    ON CONFLICT (day, kind, number) DO UPDATE SET users = d.users + excluded.users
),

counted AS (
    SELECT (day + make_interval(hours => hour)) AT TIME ZONE 'UTC' AS start, event_type, sum(events) AS events FROM seen
    GROUP BY day, hour, event_type
)

INSERT INTO rollups AS r (grain, start, event_type, events, users)
SELECT grain, start, event_type, sum(events), sum(users)
FROM (
    SELECT 'hour' AS grain, start, event_type, events, 0 AS users FROM counted
    UNION ALL
    SELECT 'day', date_trunc('day', start, 'UTC'), event_type, events, 0 FROM counted
    UNION ALL
    SELECT 'day', date_trunc('day', start, 'UTC'), '', events, 0 FROM counted
    UNION ALL
    SELECT 'day', day::timestamp AT TIME ZONE 'UTC', event_type, 0, count(*) FROM fresh
    WHERE held = 0
    GROUP BY day, event_type
    UNION ALL
    SELECT 'hour', (m.day + make_interval(hours => h.hour)) AT TIME ZONE 'UTC', m.event_type, 0, m.users
    FROM (
        SELECT day, event_type, hours & ~held AS hours, count(*) AS users FROM fresh
        WHERE event_type <> ''
        GROUP BY 1, 2, 3
    ) AS m
    CROSS JOIN generate_series(0, 23) AS h (hour)
    WHERE m.hours >> h.hour & 1 = 1
) AS parts
GROUP BY grain, start, event_type
ON CONFLICT (grain, start, event_type)
DO UPDATE SET events = r.events + excluded.events, users = r.users + excluded.users
