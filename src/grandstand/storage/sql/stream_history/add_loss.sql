INSERT INTO stream_losses (reason, events_at_risk) VALUES ($1, $2)
