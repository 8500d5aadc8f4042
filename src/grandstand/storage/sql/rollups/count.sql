-- Adds events of users to rollups. `xmax` is 0 in a row that was inserted and not updated: a user seen for the first time.
WITH added AS (
    SELECT * FROM unnest($1::text [], $2::timestamptz [], $3::text [], $4::text [], $5::bigint [])
        AS d (grain, start, event_type, user_id, events)
),

seen AS (
    INSERT INTO rollup_users AS u (grain, start, event_type, user_id, events)
    SELECT grain, start, event_type, user_id, events FROM added
    ON CONFLICT (grain, event_type, start, user_id) DO UPDATE SET events = u.events + excluded.events
    RETURNING grain, start, event_type, xmax = 0 AS is_new
)

INSERT INTO rollups AS r (grain, start, event_type, events, users)
SELECT grain, start, event_type, sum(events), sum(users)
FROM (
    SELECT grain, start, event_type, events, 0 AS users FROM added
    UNION ALL
    SELECT grain, start, event_type, 0 AS events, 1 AS users FROM seen WHERE is_new
) AS parts
GROUP BY grain, start, event_type
ON CONFLICT (grain, start, event_type)
DO UPDATE SET events = r.events + excluded.events, users = r.users + excluded.users
