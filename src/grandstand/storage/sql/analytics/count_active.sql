-- Distinct users of each local day from $4 to $5, of the seven and of the thirty days that end with it. Day $1 has the hours
-- $3 of the UTC day $2. A user counts in a window by the last active day in it: one whose next active day comes after its end.
WITH active AS (
    SELECT DISTINCT p.day, u.user_id
    FROM unnest($1::date [], $2::date [], $3::int []) AS p (day, utc_day, hours)
    INNER JOIN rollup_users AS u ON p.utc_day = u.day AND u.event_type = '' AND p.hours & u.hours <> 0
),

stays AS (
    SELECT day, lead(day) OVER (PARTITION BY user_id ORDER BY day) - day AS next_after FROM active
),

counted AS (
    SELECT day, coalesce(least(next_after, 30), 30) AS next_after, count(*) AS users FROM stays
    GROUP BY 1, 2
)

SELECT
    d.day::date AS day,
    coalesce(sum(c.users) FILTER (WHERE c.day = d.day), 0)::bigint AS dau,
    coalesce(sum(c.users) FILTER (WHERE d.day::date - c.day < 7), 0)::bigint AS wau,
    coalesce(sum(c.users), 0)::bigint AS mau
FROM generate_series($4::date, $5::date, interval '1 day') AS d (day)
LEFT JOIN counted AS c ON d.day::date - c.day BETWEEN 0 AND 29 AND c.next_after > d.day::date - c.day
GROUP BY d.day
ORDER BY d.day
