-- The event streams that may hold events: a row is there before the first event is, and stays. Who decides that nothing older
-- waits asks each of them. `incarnation`, `appended` and `depth` are how it was last seen, as they were in `stream_mark`, which
-- older programs go on with: they know the stream 0 only.
-- allowed: data-under-lock: one row is copied
CREATE TABLE event_streams (
    stream smallint PRIMARY KEY CHECK (stream >= 0),
    registered_at timestamptz NOT NULL DEFAULT now(),
    incarnation text,
    appended bigint,
    depth bigint,
    changed_at timestamptz NOT NULL DEFAULT now(),
    CHECK (num_nulls(incarnation, appended, depth) IN (0, 3))
);

INSERT INTO event_streams (stream, incarnation, appended, depth)
SELECT 0, incarnation, appended, depth FROM (SELECT) AS one_row LEFT JOIN stream_mark ON true;

ALTER TABLE stream_losses ADD COLUMN stream smallint NOT NULL DEFAULT 0;
