INSERT INTO rollup_months (received_month, events)
SELECT date_trunc('month', received_at, 'UTC')::date, count(*) FROM events
GROUP BY 1
