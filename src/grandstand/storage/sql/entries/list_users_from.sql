-- Whoever stands where they do by an event of $2 or later.
SELECT user_id FROM entries WHERE ranking_id = $1 AND achieved_at >= $2 ORDER BY user_id
