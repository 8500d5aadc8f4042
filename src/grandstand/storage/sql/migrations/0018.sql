-- What the batches stored and the rollups have not counted yet: one row a batch, written in its transaction and deleted in
-- the one that counts it. `events` is MessagePack, and not worth compressing for so short a life.
CREATE TABLE rollup_queue (
    batch_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    events bytea NOT NULL
);
ALTER TABLE rollup_queue ALTER COLUMN events SET STORAGE EXTERNAL;

-- Locked by whoever changes rollups.
CREATE TABLE rollup_lock (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row)
);
INSERT INTO rollup_lock DEFAULT VALUES;

-- Events and distinct users of an hour or a UTC day, by `occurred_at`. The event_type '' stands for all types together,
-- and is kept of days only.
CREATE TABLE rollups (
    grain text COLLATE "C" NOT NULL CHECK (grain IN ('hour', 'day')),
    start timestamptz NOT NULL,
    event_type text COLLATE "C" NOT NULL,
    events bigint NOT NULL,
    users bigint NOT NULL,
    PRIMARY KEY (grain, start, event_type)
);

-- Who was seen in them, which is what makes `users` exact.
CREATE TABLE rollup_users (
    grain text COLLATE "C" NOT NULL,
    start timestamptz NOT NULL,
    event_type text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    events bigint NOT NULL,
    PRIMARY KEY (grain, event_type, start, user_id)
);
CREATE INDEX rollup_users_by_user ON rollup_users (user_id);

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
INSERT INTO rollup_users (grain, start, event_type, user_id, events)
SELECT g.grain, date_trunc(g.grain, e.occurred_at, 'UTC'), CASE WHEN g.is_any THEN '' ELSE e.event_type END, e.user_id, count(*)
FROM events AS e
CROSS JOIN (VALUES ('hour', false), ('day', false), ('day', true)) AS g (grain, is_any)
GROUP BY 1, 2, 3, 4;

INSERT INTO rollups (grain, start, event_type, events, users)
SELECT grain, start, event_type, sum(events), count(*) FROM rollup_users
GROUP BY 1, 2, 3;

INSERT INTO first_events (user_id, occurred_at, event_id, event_type, payload)
SELECT DISTINCT ON (user_id) user_id, occurred_at, id, event_type, payload FROM events
ORDER BY user_id, occurred_at, id;

INSERT INTO rollup_months (received_month, events)
SELECT date_trunc('month', received_at, 'UTC')::date, count(*) FROM events
GROUP BY 1;
