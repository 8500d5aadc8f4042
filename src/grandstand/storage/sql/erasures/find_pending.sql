SELECT erasure_id, user_id, pseudonym, requested_at FROM erasures WHERE user_id = $1
