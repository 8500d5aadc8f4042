-- A message may quote what could not be stored.
UPDATE dead_letters
SET
    body = $2,
    message = CASE
        WHEN position($3::text IN message) > 0 THEN 'The message may have named a player who was erased.' ELSE message
    END
WHERE dead_letter_id = $1
