SELECT open_month, leaderboards_revision FROM ledger
