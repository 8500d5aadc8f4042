INSERT INTO archived_users (user_id, archive_id, events, first_at, last_at)
SELECT user_id, $1, count(*), min(received_at), max(received_at) FROM {partition} GROUP BY user_id
