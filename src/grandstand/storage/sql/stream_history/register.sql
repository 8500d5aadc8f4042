-- `$1` are the numbers of streams. Programs of before 0035 look at the stream 0 only, so none of them may start any more.
WITH others AS (
    UPDATE schema_version SET works_from = '0035' WHERE works_from < '0035' AND EXISTS (SELECT FROM unnest($1::int[]) AS n WHERE n > 0)
)
INSERT INTO event_streams (stream) SELECT unnest($1::int[]) ON CONFLICT DO NOTHING
