-- What was last seen of the event stream, so that its loss is noticed: Valkey itself cannot tell that it has forgotten.
-- `incarnation` is the stream's name for itself, `appended` how many events had ever come in, `depth` how many waited.
CREATE TABLE stream_mark (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    incarnation text NOT NULL,
    appended bigint NOT NULL,
    depth bigint NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE stream_losses (
    loss_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    noticed_at timestamptz NOT NULL DEFAULT now(),
    reason text NOT NULL,
    events_at_risk bigint NOT NULL
);
