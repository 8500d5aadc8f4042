SELECT user_hash, max(requested_at) AS erased_at FROM erasures WHERE requested_at > $1 GROUP BY user_hash
