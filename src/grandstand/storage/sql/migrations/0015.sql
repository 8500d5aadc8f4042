-- People who use the console. A name stays for ever: the audit log speaks of it.
CREATE TABLE operators (
    name text PRIMARY KEY,
    role text NOT NULL CHECK (role IN ('viewer', 'live-ops', 'admin')),
    password_hash text NOT NULL,
    totp_secret text,
    -- The newest time step whose code was used: a code counts once.
    totp_step bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    disabled_at timestamptz
);

CREATE TABLE operator_sessions (
    session_hash bytea PRIMARY KEY,
    name text NOT NULL REFERENCES operators,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    address text
);
CREATE INDEX operator_sessions_by_name ON operator_sessions (name);
CREATE INDEX operator_sessions_by_end ON operator_sessions (expires_at);
