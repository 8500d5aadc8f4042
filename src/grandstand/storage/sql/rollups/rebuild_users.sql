INSERT INTO rollup_users (day, event_type, user_id, hours)
SELECT s.day, coalesce(s.event_type, ''), s.user_id, bit_or(1 << s.hour)
FROM (
    SELECT
        (occurred_at AT TIME ZONE 'UTC')::date AS day,
        date_part('hour', occurred_at AT TIME ZONE 'UTC')::int AS hour,
        event_type, user_id
    FROM events
) AS s
GROUP BY GROUPING SETS ((s.day, s.event_type, s.user_id), (s.day, s.user_id))
