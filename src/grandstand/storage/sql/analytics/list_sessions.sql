-- Sessions by the local day in which they begin: day n begins at $1[n], and the last ends at $3. A session
-- goes on while no gap is longer than $2; those from before the first day are read only to know that they are.
WITH spaced AS (
    SELECT
        user_id, occurred_at,
        occurred_at - lag(occurred_at) OVER (PARTITION BY user_id ORDER BY occurred_at) <= $2::interval AS goes_on
    FROM events
    WHERE
        occurred_at >= ($1::timestamptz [])[1] - $2::interval
        AND occurred_at < $3::timestamptz + interval '1 day'
        AND received_at >= ($1::timestamptz [])[1] - interval '1 day'
),

numbered AS (
    SELECT
        user_id, occurred_at,
        count(*) FILTER (WHERE goes_on IS NOT TRUE) OVER (PARTITION BY user_id ORDER BY occurred_at ROWS UNBOUNDED PRECEDING)
            AS number
    FROM spaced
),

sessions AS (
    SELECT user_id, min(occurred_at) AS began_at, max(occurred_at) - min(occurred_at) AS length FROM numbered
    GROUP BY user_id, number
)

SELECT
    width_bucket(began_at, $1::timestamptz []) AS number,
    count(*) AS sessions, count(DISTINCT user_id) AS users, avg(date_part('epoch', length)) AS seconds
FROM sessions
WHERE began_at >= ($1::timestamptz [])[1] AND began_at < $3
GROUP BY 1
ORDER BY 1
