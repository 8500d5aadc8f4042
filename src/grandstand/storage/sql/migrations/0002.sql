-- The epoch changes when a replay swaps in entries made by other rules; resets cut periods in two.
CREATE SEQUENCE leaderboard_epochs;
ALTER TABLE leaderboards
ADD COLUMN epoch bigint NOT NULL DEFAULT nextval('leaderboard_epochs'),
ADD COLUMN resets timestamptz [] NOT NULL DEFAULT '{}',
-- A replay under way: the rule and the epoch that workers feed beside the ones in force.
ADD COLUMN pending_definition jsonb,
ADD COLUMN pending_epoch bigint;

-- One ordered set of entries: a board's run from `started_at` to `ended_at` (null: nothing is known to end it), as a
-- whole (part '') or a part of it: a segment ('s:' and its value) or a bucket ('b:' and its number).
-- live: batches write it · closed: complete, on its way to the archive · archived: in `archived_entries` only
-- dropped: of a deleted board or a replaced epoch, to be swept.
CREATE TABLE rankings (
    ranking_id bigint PRIMARY KEY DEFAULT nextval('ranking_ids'),
    leaderboard_id bigint NOT NULL REFERENCES leaderboards,
    epoch bigint NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    part text COLLATE "C" NOT NULL DEFAULT '',
    state text NOT NULL DEFAULT 'live' CHECK (state IN ('live', 'closed', 'archived', 'dropped')),
    total bigint,
    placed bigint NOT NULL DEFAULT 0,
    is_swept boolean NOT NULL DEFAULT false,
    UNIQUE (leaderboard_id, epoch, started_at, part)
);
CREATE INDEX rankings_to_close ON rankings (ended_at) WHERE state IN ('live', 'closed');
CREATE INDEX rankings_to_sweep ON rankings (ranking_id) WHERE state IN ('archived', 'dropped') AND NOT is_swept;

INSERT INTO rankings (ranking_id, leaderboard_id, epoch, started_at, state, is_swept)
SELECT
    ranking_id, leaderboard_id, epoch, '1800-01-01 00:00:00+00',
    CASE WHEN deleted_at IS NULL THEN 'live' ELSE 'dropped' END, is_swept
FROM leaderboards;
ALTER TABLE leaderboards DROP COLUMN ranking_id, DROP COLUMN is_swept;

ALTER TABLE entries
ADD COLUMN tie_key bytea NOT NULL DEFAULT '',
ADD COLUMN metadata text;

-- Closed periods, with the ranks they ended with.
CREATE TABLE archived_entries (
    ranking_id bigint NOT NULL,
    rank bigint NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    score bigint NOT NULL,
    tie_key bytea NOT NULL,
    achieved_at timestamptz NOT NULL,
    metadata text,
    PRIMARY KEY (ranking_id, rank)
);
CREATE UNIQUE INDEX archived_entries_by_user ON archived_entries (ranking_id, user_id);

-- Which bucket of a ranking a player was placed in at the first score.
CREATE TABLE bucket_members (
    ranking_id bigint NOT NULL REFERENCES rankings,
    user_id text COLLATE "C" NOT NULL,
    bucket integer NOT NULL,
    PRIMARY KEY (ranking_id, user_id)
);

-- When a player was taken off a board: what arrived before counts no more, in a replay as little as when it is applied.
CREATE TABLE removals (
    leaderboard_id bigint NOT NULL REFERENCES leaderboards,
    user_id text COLLATE "C" NOT NULL,
    removed_at timestamptz NOT NULL,
    PRIMARY KEY (leaderboard_id, user_id)
);
CREATE INDEX removals_by_time ON removals (removed_at);

CREATE TABLE players (
    user_id text COLLATE "C" PRIMARY KEY,
    display_name text,
    country text,
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
