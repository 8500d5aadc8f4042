-- `$1` is how old it may be, in seconds.
SELECT noticed_at, reason, events_at_risk, stream FROM stream_losses
WHERE noticed_at > now() - make_interval(secs => $1)
ORDER BY noticed_at DESC LIMIT 1
