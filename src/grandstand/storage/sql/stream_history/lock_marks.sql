-- Locked, so that of several watchers each compares with what the one before saw.
SELECT stream, incarnation, appended, depth FROM event_streams ORDER BY stream FOR UPDATE
