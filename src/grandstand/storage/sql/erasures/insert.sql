INSERT INTO erasures (erasure_id, user_hash, user_id, pseudonym, requested_at) VALUES ($1, $2, $3, $4, $5)
