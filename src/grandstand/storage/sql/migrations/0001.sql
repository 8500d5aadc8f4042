-- Every gameplay event, once. The unique index on `id` stands on each partition (a partitioned table cannot have one
-- without its partition key); docs/decisions/0004 says how an id stays unique across partitions.
CREATE TABLE events (
    id uuid NOT NULL,
    received_at timestamptz NOT NULL,
    occurred_at timestamptz NOT NULL,
    processed_at timestamptz NOT NULL DEFAULT now(),
    event_type text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    payload jsonb NOT NULL
) PARTITION BY RANGE (received_at);
CREATE INDEX events_by_user ON events (user_id, received_at);
CREATE INDEX events_by_type ON events (event_type, received_at);

-- One row: what every batch must know, and what changes only under the exclusive ledger lock.
CREATE TABLE ledger (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    open_month date,
    leaderboards_revision bigint NOT NULL DEFAULT 0
);
INSERT INTO ledger DEFAULT VALUES;

-- Rows stay after a deletion (`deleted_at`), so that every process hears of it by `revision`; `is_swept` once the
-- entries are gone too.
CREATE TABLE leaderboards (
    leaderboard_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key text COLLATE "C" NOT NULL,
    definition jsonb NOT NULL,
    revision bigint NOT NULL,
    ranking_id bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    is_swept boolean NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX leaderboards_by_key ON leaderboards (key) WHERE deleted_at IS NULL;
CREATE INDEX leaderboards_by_revision ON leaderboards (revision);

-- A ranking is one ordered set of entries. Ids are never used again: a board made anew gets a new one.
CREATE SEQUENCE ranking_ids;

-- `version` grows with every change of a row, also across its removal and return: the rank index takes a value only
-- when it is newer than the one it holds. No CACHE: numbers must follow the order of the row locks.
CREATE SEQUENCE entry_versions;

-- `total` is the exact sum (sum, count); `score` is what ranks: it, held within ±(2^53 - 1).
CREATE TABLE entries (
    ranking_id bigint NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    score bigint NOT NULL,
    achieved_at timestamptz NOT NULL,
    event_id uuid NOT NULL,
    version bigint NOT NULL,
    total numeric,
    PRIMARY KEY (ranking_id, user_id)
) WITH (fillfactor = 80);

CREATE TABLE api_keys (
    key_id text PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('admin', 'server', 'client')),
    name text NOT NULL,
    key_hash bytea NOT NULL UNIQUE,
    signing_key bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);

CREATE TABLE deployment_secrets (
    name text PRIMARY KEY,
    value bytea NOT NULL
);

CREATE TABLE player_devices (
    device_hash bytea PRIMARY KEY,
    user_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
