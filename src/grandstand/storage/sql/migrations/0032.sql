-- Answers of analytics over many events: asked for by HTTP processes, counted and counted anew by the scheduler that leads.
-- A report that nobody asks for goes away. None holds an id of a player; those of the kind `retention` hold values of payloads.
CREATE TABLE reports (
    report_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest bytea NOT NULL UNIQUE,
    kind text COLLATE "C" NOT NULL,
    question bytea NOT NULL,
    asked_at timestamptz NOT NULL,
    as_of timestamptz,
    seconds double precision,
    outcome bytea
);
