-- Events, games and new users of local days: day $1 lasts from $2 to $3.
SELECT
    d.day,
    coalesce((
        SELECT sum(r.events) FROM rollups AS r
        WHERE r.grain = 'hour' AND r.start >= d.starts_at AND r.start < d.ends_at
    ), 0)::bigint AS events,
    coalesce((
        SELECT sum(r.events) FROM rollups AS r
        WHERE r.grain = 'hour' AND r.start >= d.starts_at AND r.start < d.ends_at AND r.event_type = 'game_ended'
    ), 0)::bigint AS games,
    (SELECT count(*) FROM first_events AS f WHERE f.occurred_at >= d.starts_at AND f.occurred_at < d.ends_at) AS new_users
FROM unnest($1::date [], $2::timestamptz [], $3::timestamptz []) AS d (day, starts_at, ends_at)
ORDER BY d.day
