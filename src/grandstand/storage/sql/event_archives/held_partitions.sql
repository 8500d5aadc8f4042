-- Ranges that stay for now: being archived already, or brought back for a while.
SELECT partition, starts_at, ends_at FROM event_archives
WHERE state IN ('exporting', 'verified') OR (state = 'restored' AND restored_until > $1)
