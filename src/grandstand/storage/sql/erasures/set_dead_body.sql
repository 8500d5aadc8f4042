UPDATE dead_letters SET body = $2 WHERE dead_letter_id = $1
