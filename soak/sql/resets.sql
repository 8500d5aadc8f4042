-- When boards were reset by hand.
SELECT key, resets FROM leaderboards WHERE deleted_at IS NULL AND key = ANY($1::text [])
