-- Events that a board's plausibility keeps apart. The event itself is stored like any other; a row says that it does not
-- count on one board unless `counts`, which a release sets. Rows stay as long as their event: replays ask them.
CREATE TABLE quarantine (
    quarantine_id uuid PRIMARY KEY,
    event_id uuid NOT NULL,
    leaderboard_id bigint NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    event_type text COLLATE "C" NOT NULL,
    score bigint NOT NULL,
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    reason text NOT NULL,
    status text NOT NULL DEFAULT 'held' CHECK (status IN ('held', 'released', 'rejected')),
    quarantined_at timestamptz NOT NULL,
    decided_at timestamptz,
    counts boolean NOT NULL DEFAULT false CHECK (NOT counts OR status = 'released'),
    unranked_reason text,
    UNIQUE (event_id, leaderboard_id)
);
CREATE INDEX quarantine_by_status ON quarantine (status, quarantine_id);
CREATE INDEX quarantine_by_leaderboard ON quarantine (leaderboard_id, quarantine_id);
CREATE INDEX quarantine_by_user ON quarantine (user_id, quarantine_id);

-- What a player's events of one minute come to that count on a board with rates. Only the rates need it, and it goes a
-- day after it was last written.
CREATE TABLE plausibility_minutes (
    leaderboard_id bigint NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    minute timestamptz NOT NULL,
    events integer NOT NULL,
    gain bigint NOT NULL,
    touched_at timestamptz NOT NULL,
    PRIMARY KEY (leaderboard_id, user_id, minute)
);
CREATE INDEX plausibility_minutes_by_touch ON plausibility_minutes (touched_at);
