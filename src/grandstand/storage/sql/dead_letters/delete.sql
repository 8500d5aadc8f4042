DELETE FROM dead_letters WHERE dead_letter_id = $1 RETURNING dead_letter_id
