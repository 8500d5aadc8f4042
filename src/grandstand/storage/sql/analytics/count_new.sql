-- Users whose first event came in local days: day $1 lasts from $2 to $3.
SELECT
    d.day,
    (SELECT count(*) FROM first_events AS f WHERE f.occurred_at >= d.starts_at AND f.occurred_at < d.ends_at) AS size
FROM unnest($1::date [], $2::timestamptz [], $3::timestamptz []) AS d (day, starts_at, ends_at)
