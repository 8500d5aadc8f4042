INSERT INTO rollup_users (grain, start, event_type, user_id, events)
SELECT g.grain, date_trunc(g.grain, e.occurred_at, 'UTC'), CASE WHEN g.is_any THEN '' ELSE e.event_type END, e.user_id, count(*)
FROM events AS e
CROSS JOIN (VALUES ('hour', false), ('day', false), ('day', true)) AS g (grain, is_any)
GROUP BY 1, 2, 3, 4
