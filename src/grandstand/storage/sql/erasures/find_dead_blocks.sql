-- Dead letters behind $3 that hold many events, or nobody's, and somewhere these bytes.
SELECT dead_letter_id, body FROM dead_letters
WHERE received_at <= $2 AND dead_letter_id > $3 AND position($1::bytea IN body) > 0
ORDER BY dead_letter_id
LIMIT 10
