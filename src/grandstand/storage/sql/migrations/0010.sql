-- Where an epoch begins: at the end of the newest period that was archived when its rule came into force. What occurred
-- before belongs to archives, whatever the rule says of periods. Null: nothing was archived.
ALTER TABLE leaderboards
ADD COLUMN epoch_began_at timestamptz,
ADD COLUMN pending_began_at timestamptz;

-- Of an archived period as a whole: the definition as it was then. Readers go by it, whatever the board has become.
ALTER TABLE rankings ADD COLUMN definition jsonb;

UPDATE rankings AS r SET definition = l.definition
FROM leaderboards AS l
WHERE r.leaderboard_id = l.leaderboard_id AND r.epoch = l.epoch AND r.state = 'archived' AND r.part = '';
