INSERT INTO event_archives (partition, starts_at, ends_at, state)
VALUES ('events_2024_10', '2024-10-01 00:00:00+00', '2024-11-01 00:00:00+00', 'abandoned');
