-- The first day whose users are not those that are kept of it: somebody counted them and kept nothing, as a program of before
-- 0030 does, or it was never kept.
SELECT min(coalesce(k.day, (r.start AT TIME ZONE 'UTC')::date))
FROM (
    SELECT day, coalesce(sum(users) FILTER (WHERE kind = 'stay'), 0) AS users FROM rollup_days
    GROUP BY day
) AS k
FULL JOIN (SELECT start, users FROM rollups WHERE grain = 'day' AND event_type = '') AS r
    ON (r.start AT TIME ZONE 'UTC')::date = k.day
WHERE k.users IS DISTINCT FROM r.users
