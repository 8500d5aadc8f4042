UPDATE erasures SET user_id = NULL, pseudonym = NULL, finished_at = $2 WHERE erasure_id = $1
