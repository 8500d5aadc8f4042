-- Also of a schema of before 0034, whose mark a later migration takes over.
DO $$
BEGIN
    DELETE FROM stream_mark;
    IF to_regclass('event_streams') IS NOT NULL THEN
        UPDATE event_streams SET incarnation = NULL, appended = NULL, depth = NULL, changed_at = now();
    END IF;
END
$$
