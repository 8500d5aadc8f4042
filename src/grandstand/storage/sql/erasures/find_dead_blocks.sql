-- Dead letters behind $4 that hold many events, or nobody's, and somewhere these bytes, or the id in their message.
SELECT dead_letter_id, body FROM dead_letters
WHERE
    received_at <= $3 AND dead_letter_id > $4
    AND (position($1::bytea IN body) > 0 OR position($2::text IN message) > 0)
ORDER BY dead_letter_id
LIMIT 10
