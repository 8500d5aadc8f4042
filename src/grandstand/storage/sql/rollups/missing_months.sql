-- By number and not by the names of partitions: one that left may have been made anew for what came late. What is queued is
-- stored and not counted yet, as of one snapshot.
SELECT m.received_month
FROM rollup_months AS m
LEFT JOIN (
    SELECT date_trunc('month', received_at, 'UTC')::date AS received_month, count(*) AS events FROM events
    GROUP BY 1
) AS s ON m.received_month = s.received_month
LEFT JOIN (
    SELECT date_trunc('month', received_month)::date AS received_month, sum(events) AS events FROM rollup_queue
    GROUP BY 1
) AS q ON m.received_month = q.received_month
WHERE coalesce(s.events, 0) - coalesce(q.events, 0) < m.events
ORDER BY m.received_month
