-- Events that could not be processed after all attempts. `body` is what came, byte for byte, for it may hold what no text
-- or jsonb can; `form` says whether that is one event or a whole block that could not be taken apart. What could be read
-- of it stands beside it for people and filters. `source` names the event: it is a dead letter once.
CREATE TABLE dead_letters (
    dead_letter_id uuid PRIMARY KEY,
    source text COLLATE "C" NOT NULL UNIQUE,
    form text NOT NULL CHECK (form IN ('event', 'block')),
    event_id text,
    event_type text COLLATE "C",
    user_id text COLLATE "C",
    occurred_at timestamptz,
    received_at timestamptz NOT NULL,
    priority text NOT NULL CHECK (priority IN ('high', 'low')),
    events integer NOT NULL,
    body bytea NOT NULL,
    error text NOT NULL,
    message text NOT NULL,
    attempts integer NOT NULL,
    first_failed_at timestamptz NOT NULL,
    last_failed_at timestamptz NOT NULL,
    status text NOT NULL DEFAULT 'dead' CHECK (status IN ('dead', 'replayed')),
    replayed_at timestamptz
);
CREATE INDEX dead_letters_by_status ON dead_letters (status, dead_letter_id);
CREATE INDEX dead_letters_by_user ON dead_letters (user_id, dead_letter_id);
