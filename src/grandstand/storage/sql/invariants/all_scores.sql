SELECT user_id FROM events
UNION
SELECT user_id FROM archived_users
UNION
SELECT user_id FROM entries
