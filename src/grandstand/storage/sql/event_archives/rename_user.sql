-- $4, $5: how many events the player has in the archive from after the request, and since when; all others are the pseudonym's.
WITH taken AS (
    DELETE FROM archived_users WHERE archive_id = $1 AND user_id = $2
    RETURNING events, first_at, last_at
),

renamed AS (
    INSERT INTO archived_users (user_id, archive_id, events, first_at, last_at)
    SELECT $3, $1, events - $4, first_at, CASE WHEN $4 = 0 THEN last_at ELSE least(last_at, $6) END FROM taken
)

INSERT INTO archived_users (user_id, archive_id, events, first_at, last_at)
SELECT $2, $1, $4, $5, last_at FROM taken WHERE $4 > 0
