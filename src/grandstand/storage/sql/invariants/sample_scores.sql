-- Users with stored events and users with entries. A lone event or entry is found as well as one of many.
SELECT s.user_id
FROM (
    SELECT user_id FROM events TABLESAMPLE SYSTEM ($1) REPEATABLE ($3)
    UNION
    SELECT e.user_id
    FROM entries AS e TABLESAMPLE SYSTEM ($2) REPEATABLE ($3)
) AS s
ORDER BY md5(s.user_id || $4::text), s.user_id
LIMIT $5
