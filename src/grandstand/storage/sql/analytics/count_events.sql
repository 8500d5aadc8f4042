-- Events of the UTC days that the time from $1 to $2 touches.
SELECT coalesce(sum(events), 0)::bigint FROM rollups
WHERE grain = 'day' AND event_type = '' AND start > $1::timestamptz - interval '1 day' AND start < $2
