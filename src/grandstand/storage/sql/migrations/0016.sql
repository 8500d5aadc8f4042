-- What the batches stored and the rollups have not counted yet: one row a batch and month of arrival, written in the batch's
-- transaction and deleted in the one that counts it. Not worth compressing for so short a life.
CREATE TABLE rollup_queue (
    batch_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    queued_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    received_month date NOT NULL,
    events int NOT NULL,
    event_types text [] COLLATE "C" NOT NULL,
    user_ids text [] COLLATE "C" NOT NULL,
    occurred_at timestamptz [] NOT NULL,
    event_ids uuid [] NOT NULL
);
ALTER TABLE rollup_queue
ALTER COLUMN event_types SET STORAGE EXTERNAL,
ALTER COLUMN user_ids SET STORAGE EXTERNAL,
ALTER COLUMN occurred_at SET STORAGE EXTERNAL,
ALTER COLUMN event_ids SET STORAGE EXTERNAL;

-- Locked as a table by whoever changes rollups: the lock of a table can be taken before a snapshot is.
CREATE TABLE rollup_lock ();

-- Events and distinct users of an hour or a UTC day, by `occurred_at`. The event_type '' stands for all types together,
-- and is kept of days only.
CREATE TABLE rollups (
    grain text COLLATE "C" NOT NULL CHECK (grain IN ('hour', 'day')),
    start timestamptz NOT NULL,
    event_type text COLLATE "C" NOT NULL,
    events bigint NOT NULL,
    users bigint NOT NULL,
    PRIMARY KEY (grain, start, event_type)
) WITH (fillfactor = 70);

-- Who was seen on a UTC day, with bit n of `hours` set when it was in hour n: what makes `users` exact, and what users of a
-- day in any time zone of whole hours follow from.
CREATE TABLE rollup_users (
    day date NOT NULL,
    event_type text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    hours int NOT NULL CHECK (hours > 0),
    PRIMARY KEY (day, event_type, user_id)
) WITH (fillfactor = 80);

-- The first event of every user by (occurred_at, id), with what it said: cohorts are grouped by it.
CREATE TABLE first_events (
    user_id text COLLATE "C" PRIMARY KEY,
    occurred_at timestamptz NOT NULL,
    event_id uuid NOT NULL,
    event_type text COLLATE "C" NOT NULL,
    payload jsonb NOT NULL
);
CREATE INDEX first_events_by_time ON first_events (occurred_at);

-- How many counted events were received in a month: whether all of them are still there to be counted anew.
CREATE TABLE rollup_months (
    received_month date PRIMARY KEY,
    events bigint NOT NULL
);

-- Events from before the upgrade: one row for all of them would be too large, so they are counted here.
INSERT INTO rollup_users (day, event_type, user_id, hours)
SELECT s.day, coalesce(s.event_type, ''), s.user_id, bit_or(1 << s.hour)
FROM (
    SELECT
        (occurred_at AT TIME ZONE 'UTC')::date AS day,
        date_part('hour', occurred_at AT TIME ZONE 'UTC')::int AS hour,
        event_type, user_id
    FROM events
) AS s
GROUP BY GROUPING SETS ((s.day, s.event_type, s.user_id), (s.day, s.user_id));

WITH counted AS (
    SELECT date_trunc('hour', occurred_at, 'UTC') AS start, event_type, count(*) AS events FROM events
    GROUP BY 1, 2
)

INSERT INTO rollups (grain, start, event_type, events, users)
SELECT grain, start, event_type, sum(events), sum(users)
FROM (
    SELECT 'hour' AS grain, start, event_type, events, 0 AS users FROM counted
    UNION ALL
    SELECT 'day', date_trunc('day', start, 'UTC'), event_type, events, 0 FROM counted
    UNION ALL
    SELECT 'day', date_trunc('day', start, 'UTC'), '', events, 0 FROM counted
    UNION ALL
    SELECT 'day', day::timestamp AT TIME ZONE 'UTC', event_type, 0, count(*) FROM rollup_users
    GROUP BY day, event_type
    UNION ALL
    SELECT 'hour', (m.day + make_interval(hours => h.hour)) AT TIME ZONE 'UTC', m.event_type, 0, m.users
    FROM (
        SELECT day, event_type, hours, count(*) AS users FROM rollup_users
        WHERE event_type <> ''
        GROUP BY 1, 2, 3
    ) AS m
    CROSS JOIN generate_series(0, 23) AS h (hour)
    WHERE m.hours >> h.hour & 1 = 1
) AS parts
GROUP BY grain, start, event_type;

INSERT INTO first_events (user_id, occurred_at, event_id, event_type, payload)
SELECT DISTINCT ON (user_id) user_id, occurred_at, id, event_type, payload FROM events
ORDER BY user_id, occurred_at, id;

INSERT INTO rollup_months (received_month, events)
SELECT date_trunc('month', received_at, 'UTC')::date, count(*) FROM events
GROUP BY 1;
