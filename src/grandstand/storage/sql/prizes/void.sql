UPDATE prizes SET status = 'voided', voided_at = $2 WHERE prize_id = $1 AND status = 'pending' RETURNING prize_id
