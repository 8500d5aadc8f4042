-- Lets the days that `forget_days` forgot wait to be filled.
INSERT INTO rollup_days (day, kind, number, users)
SELECT (start AT TIME ZONE 'UTC')::date, 'stay', 0, users FROM rollups
WHERE grain = 'day' AND event_type = '' AND start >= ($1::date - 30)::timestamp AT TIME ZONE 'UTC'
