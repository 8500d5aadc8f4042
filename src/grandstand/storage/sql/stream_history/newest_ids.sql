SELECT stream, reason, max(loss_id) FROM stream_losses GROUP BY stream, reason
