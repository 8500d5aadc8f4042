-- That a player was erased. While it is under way it must know whom it is about; afterwards a keyed hash of the id is all
-- that is left: it tells tokens from before apart, and lets nobody find the id, nor what stands in its place.
CREATE TABLE erasures (
    erasure_id uuid PRIMARY KEY,
    user_hash bytea NOT NULL,
    user_id text COLLATE "C",
    pseudonym text COLLATE "C",
    requested_at timestamptz NOT NULL,
    finished_at timestamptz,
    CHECK ((finished_at IS NULL) = (user_id IS NOT NULL) AND (user_id IS NULL) = (pseudonym IS NULL))
);
CREATE UNIQUE INDEX erasures_pending ON erasures (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX erasures_by_time ON erasures (requested_at);

-- Whether the row is of a name that stands for an erased player: it keeps a rank, and no id that a tie goes by.
ALTER TABLE players ADD COLUMN is_erased boolean NOT NULL DEFAULT false;

CREATE INDEX player_devices_by_user ON player_devices (user_id);
