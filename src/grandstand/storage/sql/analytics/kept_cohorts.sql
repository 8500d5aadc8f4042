-- Users whose first event came on a UTC day from $1 to $2, and how many of them were seen 1, 7 and 30 days later, from what is
-- kept. In no groups.
SELECT
    day, NULL AS label,
    sum(users) FILTER (WHERE number = 0)::bigint AS size,
    coalesce(sum(users) FILTER (WHERE number = 1), 0)::bigint AS day_1,
    coalesce(sum(users) FILTER (WHERE number = 7), 0)::bigint AS day_7,
    coalesce(sum(users) FILTER (WHERE number = 30), 0)::bigint AS day_30
FROM rollup_days
WHERE kind = 'cohort' AND day BETWEEN $1::date AND $2::date
GROUP BY day
HAVING sum(users) FILTER (WHERE number = 0) > 0
ORDER BY day
