-- What it takes to recompute entries from the stored events.

-- The time of the statement that stored a batch. The batch has joined the ledger by then, and whoever changes definitions
-- holds it alone: so this time lies on the same side of `leaderboards.counts_since` as the batch did.
ALTER TABLE events ALTER COLUMN processed_at SET DEFAULT statement_timestamp();

-- Events stored before it do not count in the epoch in force; 1800 after a replay, which takes them all in. Null: unknown,
-- for epochs older than this column.
ALTER TABLE leaderboards ADD COLUMN counts_since timestamptz;
ALTER TABLE leaderboards ALTER COLUMN counts_since SET DEFAULT statement_timestamp();

-- When the last ban was lifted: what arrived before never counts again, not even in a replay.
ALTER TABLE players ADD COLUMN unbanned_at timestamptz;
CREATE INDEX players_unbanned ON players (unbanned_at) WHERE unbanned_at IS NOT NULL;

-- Whether the window was changed after it was made known: scores may have been judged by another one than it has now.
ALTER TABLE occurrences ADD COLUMN is_moved boolean NOT NULL DEFAULT false;
