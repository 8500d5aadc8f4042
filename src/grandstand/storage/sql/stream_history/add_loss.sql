INSERT INTO stream_losses (noticed_at, reason, events_at_risk, stream) VALUES ($1, $2, $3, $4)
