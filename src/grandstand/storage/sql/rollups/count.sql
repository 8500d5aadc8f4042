-- Adds events of users to rollups. `xmax` is 0 in a row that was inserted and not updated: a user seen for the first time.
WITH seen AS (
    INSERT INTO rollup_users AS u (grain, start, event_type, user_id, events)
    SELECT * FROM unnest($1::text [], $2::timestamptz [], $3::text [], $4::text [], $5::bigint [])
    ON CONFLICT (grain, event_type, start, user_id) DO UPDATE SET events = u.events + excluded.events
    RETURNING grain, start, event_type, user_id, xmax = 0 AS is_new
)

INSERT INTO rollups AS r (grain, start, event_type, events, users)
SELECT d.grain, d.start, d.event_type, sum(d.events), count(*) FILTER (WHERE s.is_new)
FROM unnest($1::text [], $2::timestamptz [], $3::text [], $4::text [], $5::bigint [])
    AS d (grain, start, event_type, user_id, events)
INNER JOIN seen AS s
    ON d.grain = s.grain AND d.start = s.start AND d.event_type = s.event_type AND d.user_id = s.user_id
GROUP BY d.grain, d.start, d.event_type
ON CONFLICT (grain, start, event_type)
DO UPDATE SET events = r.events + excluded.events, users = r.users + excluded.users
