-- A tournament's scores are those of a board of its own; its key has a colon, which no board's key that comes from
-- outside has. `windows` says when each occurrence takes scores, as JSON [occurrence, starts_at, ends_at]; `grace_seconds` how long
-- after the end an event may arrive.
ALTER TABLE leaderboards
ADD COLUMN windows jsonb NOT NULL DEFAULT '[]',
ADD COLUMN grace_seconds integer NOT NULL DEFAULT 120;

CREATE TABLE tournaments (
    tournament_id text COLLATE "C" PRIMARY KEY,
    leaderboard_id bigint NOT NULL UNIQUE REFERENCES leaderboards,
    definition jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE occurrences (
    tournament_id text COLLATE "C" NOT NULL REFERENCES tournaments,
    occurrence integer NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    status text NOT NULL DEFAULT 'scheduled'
    CHECK (status IN ('scheduled', 'active', 'ended', 'settled', 'cancelled')),
    players integer NOT NULL DEFAULT 0,
    settled_at timestamptz,
    PRIMARY KEY (tournament_id, occurrence)
);
CREATE INDEX occurrences_to_start ON occurrences (starts_at) WHERE status = 'scheduled';
CREATE INDEX occurrences_to_end ON occurrences (ends_at) WHERE status IN ('active', 'ended');

CREATE TABLE participants (
    tournament_id text COLLATE "C" NOT NULL,
    occurrence integer NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    joined_at timestamptz NOT NULL DEFAULT now(),
    attempts integer NOT NULL DEFAULT 0,
    PRIMARY KEY (tournament_id, occurrence, user_id),
    FOREIGN KEY (tournament_id, occurrence) REFERENCES occurrences
);

-- The ranks that a settlement found; prizes follow from them.
CREATE TABLE standings (
    tournament_id text COLLATE "C" NOT NULL,
    occurrence integer NOT NULL,
    rank bigint NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    score bigint NOT NULL,
    achieved_at timestamptz NOT NULL,
    PRIMARY KEY (tournament_id, occurrence, rank),
    UNIQUE (tournament_id, occurrence, user_id)
);

-- What is paid is keyed by who gets it by which rule, never by the place: a place may go to somebody else.
CREATE TABLE prizes (
    prize_id uuid PRIMARY KEY,
    tournament_id text COLLATE "C" NOT NULL,
    occurrence integer NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    rule integer NOT NULL,
    rank bigint NOT NULL,
    kind text NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    metadata jsonb NOT NULL DEFAULT '{}',
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'claimed', 'expired', 'voided')),
    awarded_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    claimed_at timestamptz,
    claim_key text,
    voided_at timestamptz,
    UNIQUE (tournament_id, occurrence, user_id, rule)
);
CREATE INDEX prizes_by_user ON prizes (user_id, prize_id);
CREATE INDEX prizes_to_expire ON prizes (expires_at) WHERE status = 'pending';

-- Every step of every prize, for ever: rows are only added.
CREATE TABLE prize_steps (
    step_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    prize_id uuid NOT NULL REFERENCES prizes,
    status text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    reason text
);
CREATE INDEX prize_steps_by_prize ON prize_steps (prize_id, step_id);

ALTER TABLE players
ADD COLUMN banned_at timestamptz,
ADD COLUMN ban_reason text;
CREATE INDEX players_banned ON players (user_id) WHERE banned_at IS NOT NULL;
