INSERT INTO stream_losses (noticed_at, reason, events_at_risk) VALUES ('2024-10-07 00:00:00+00', 'vanished', 3);
INSERT INTO stream_mark (incarnation, appended, depth) VALUES ('before', 7, 2);
