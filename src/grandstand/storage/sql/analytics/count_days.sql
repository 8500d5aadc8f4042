-- Events and games of local days: day $1 lasts from $2 to $3.
SELECT
    d.day,
    coalesce(sum(r.events), 0)::bigint AS events,
    coalesce(sum(r.events) FILTER (WHERE r.event_type = 'game_ended'), 0)::bigint AS games
FROM unnest($1::date [], $2::timestamptz [], $3::timestamptz []) AS d (day, starts_at, ends_at)
LEFT JOIN rollups AS r ON r.grain = 'hour' AND r.start >= d.starts_at AND r.start < d.ends_at
GROUP BY d.day
