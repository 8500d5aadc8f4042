DELETE FROM stream_mark
