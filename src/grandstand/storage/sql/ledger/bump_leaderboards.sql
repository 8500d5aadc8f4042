UPDATE ledger SET leaderboards_revision = leaderboards_revision + 1 RETURNING leaderboards_revision
