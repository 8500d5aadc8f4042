SELECT count(*) FROM stream_losses WHERE reason = 'vanished'
