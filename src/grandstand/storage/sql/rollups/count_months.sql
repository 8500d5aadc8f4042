INSERT INTO rollup_months AS m (received_month, events)
SELECT * FROM unnest($1::date [], $2::bigint [])
ON CONFLICT (received_month) DO UPDATE SET events = m.events + excluded.events
