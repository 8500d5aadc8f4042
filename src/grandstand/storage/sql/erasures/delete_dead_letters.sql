DELETE FROM dead_letters WHERE user_id = $1 AND received_at <= $2
