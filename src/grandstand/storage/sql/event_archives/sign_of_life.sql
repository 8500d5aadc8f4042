-- A transaction that stands still loses its locks (idle_in_transaction_session_timeout).
SELECT 1
