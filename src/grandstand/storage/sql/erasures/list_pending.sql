SELECT erasure_id, user_id, pseudonym, requested_at FROM erasures
WHERE user_id IS NOT NULL
ORDER BY requested_at
LIMIT $1
