-- Distinct users of each UTC day from $1 to $2, of the seven and of the thirty days that end with it, from what is kept. A
-- user counts in a window by the last day in it: one whose stay is longer than what is left of the window.
SELECT
    d.day::date AS day,
    coalesce(sum(k.users) FILTER (WHERE k.day = d.day), 0)::bigint AS dau,
    coalesce(sum(k.users) FILTER (WHERE d.day::date - k.day < 7), 0)::bigint AS wau,
    coalesce(sum(k.users), 0)::bigint AS mau
FROM generate_series($1::date, $2::date, interval '1 day') AS d (day)
LEFT JOIN rollup_days AS k
    ON k.kind = 'stay' AND k.day BETWEEN d.day::date - 29 AND d.day::date AND k.number > d.day::date - k.day
GROUP BY d.day
ORDER BY d.day
