SELECT stream, incarnation, appended, depth FROM event_streams ORDER BY stream
