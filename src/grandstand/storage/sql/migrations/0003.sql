-- Leases and webhooks.

-- Who leads. A row is never deleted, so that `token` rises with every change of holder.
CREATE TABLE leases (
    name text PRIMARY KEY,
    holder text NOT NULL,
    token bigint NOT NULL,
    expires_at timestamptz NOT NULL,
    -- This makes the token a key column: a take-over waits for writers that hold the row FOR KEY SHARE, and a renewal,
    -- which leaves the token alone, does not.
    UNIQUE (name, token)
);

CREATE TABLE webhook_endpoints (
    endpoint_id uuid PRIMARY KEY,
    url text NOT NULL,
    description text NOT NULL DEFAULT '',
    secret text NOT NULL,
    event_types text [] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    disabled_at timestamptz
);

-- The outbox: written in the transaction of what it tells of. Ids are UUIDv7: in their order is in the order of time.
CREATE TABLE webhook_events (
    event_id uuid PRIMARY KEY,
    type text NOT NULL,
    payload jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- One row for each event and endpoint, made together with the event.
-- pending: due at `next_attempt_at`, which a dispatcher moves ahead for as long as it tries
-- delivered: answered with 2xx · dead: given up, waits for a replay.
CREATE TABLE webhook_deliveries (
    event_id uuid NOT NULL REFERENCES webhook_events ON DELETE CASCADE,
    endpoint_id uuid NOT NULL REFERENCES webhook_endpoints ON DELETE CASCADE,
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'dead')),
    last_status integer,
    last_error text,
    delivered_at timestamptz,
    PRIMARY KEY (event_id, endpoint_id)
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, next_attempt_at) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_by_status ON webhook_deliveries (status, event_id, endpoint_id);
CREATE INDEX webhook_deliveries_by_endpoint ON webhook_deliveries (endpoint_id, event_id);
