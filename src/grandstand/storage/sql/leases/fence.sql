-- The clock of this moment, not of the transaction's start: a writer may have been paused in between.
-- A writer that is paused from here on loses its transaction, so that it does not hold up the next leader for ever.
SELECT set_config('idle_in_transaction_session_timeout', $3, true)
FROM leases
WHERE name = $1 AND token = $2 AND expires_at > clock_timestamp()
FOR KEY SHARE
