SELECT incarnation, appended, depth FROM stream_mark
