DELETE FROM dead_letters WHERE status = 'replayed' AND replayed_at < $1
