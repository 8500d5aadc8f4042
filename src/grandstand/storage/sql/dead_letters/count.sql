SELECT count(*)
FROM dead_letters
WHERE
    status = 'dead'
    AND ($1::text IS NULL OR event_type = $1)
    AND ($2::text IS NULL OR user_id = $2)
    AND ($3::text IS NULL OR error = $3)
