UPDATE dead_letters SET status = 'replayed', replayed_at = $2 WHERE dead_letter_id = ANY ($1::uuid [])
