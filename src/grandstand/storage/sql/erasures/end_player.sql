-- What said that older events count no more is of no use once there are none. A row that somebody wrote into meanwhile stays.
WITH cleared AS (
    DELETE FROM players
    WHERE
        user_id = $1 AND unbanned_at = $2 AND display_name IS NULL AND country IS NULL AND metadata = '{}'
        AND banned_at IS NULL
)

UPDATE players SET unbanned_at = NULL
WHERE
    user_id = $1 AND unbanned_at = $2
    AND (display_name IS NOT NULL OR country IS NOT NULL OR metadata <> '{}' OR banned_at IS NOT NULL)
