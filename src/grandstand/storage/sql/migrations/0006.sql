ALTER TABLE api_keys
    ADD COLUMN scopes text [],
    ADD COLUMN created_by text,
    ADD COLUMN expires_at timestamptz,
    ADD COLUMN last_used_at timestamptz;

-- Tokens of a player from before this moment are good no longer, whatever they say of themselves.
CREATE TABLE player_revocations (
    user_id text PRIMARY KEY,
    revoked_at timestamptz NOT NULL
);
CREATE INDEX player_revocations_by_time ON player_revocations (revoked_at);
