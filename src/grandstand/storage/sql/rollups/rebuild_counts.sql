INSERT INTO rollups (grain, start, event_type, events, users)
SELECT grain, start, event_type, sum(events), count(*) FROM rollup_users
GROUP BY 1, 2, 3
