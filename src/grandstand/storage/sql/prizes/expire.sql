UPDATE prizes SET status = 'expired' WHERE status = 'pending' AND expires_at <= $1 RETURNING prize_id
