-- Locked, so that of several watchers each compares with what the one before saw.
SELECT incarnation, appended, depth FROM stream_mark FOR UPDATE
