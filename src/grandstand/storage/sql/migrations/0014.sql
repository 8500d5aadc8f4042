-- A partition of events on its way out of PostgreSQL. Readers go by `state`: until 'detached' the events are those of the
-- table, from then on those of the files. docs/decisions/0027 has the steps.
CREATE TABLE event_archives (
    archive_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    partition text COLLATE "C" NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    state text NOT NULL CHECK (state IN ('exporting', 'verified', 'detached', 'dropped', 'restored', 'abandoned')),
    is_stale boolean NOT NULL DEFAULT false,
    events bigint,
    checksum numeric,
    first_received_at timestamptz,
    last_received_at timestamptz,
    started_at timestamptz NOT NULL DEFAULT now(),
    verified_at timestamptz,
    detached_at timestamptz,
    restored_until timestamptz
);
CREATE UNIQUE INDEX event_archives_under_way ON event_archives (partition) WHERE state IN ('exporting', 'verified');

CREATE TABLE archive_files (
    file_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    archive_id bigint NOT NULL REFERENCES event_archives,
    day date NOT NULL,
    event_type text COLLATE "C" NOT NULL,
    name text NOT NULL UNIQUE,
    events bigint NOT NULL,
    checksum numeric NOT NULL,
    bytes bigint NOT NULL,
    sha256 bytea NOT NULL
);
CREATE INDEX archive_files_by_archive ON archive_files (archive_id);

-- Who has events in which archive: for exports, erasures and what is said of a player.
CREATE TABLE archived_users (
    user_id text COLLATE "C" NOT NULL,
    archive_id bigint NOT NULL REFERENCES event_archives,
    events bigint NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, archive_id)
);
CREATE INDEX archived_users_by_archive ON archived_users (archive_id);

-- Ids of archived events, for ever: an event that comes again years later is still known.
CREATE TABLE archived_ids (
    id uuid PRIMARY KEY,
    archive_id bigint NOT NULL
);

-- On a partition that is being archived: what changes it takes the ground from under the archive.
CREATE FUNCTION mark_archive_stale() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE event_archives SET is_stale = true WHERE archive_id = TG_ARGV[0]::bigint AND NOT is_stale;
    RETURN NULL;
END
$$;

-- Files that no archive has any more or yet: what a process that died has left of a file that was written anew.
CREATE TABLE archive_files_to_delete (
    name text PRIMARY KEY
);
