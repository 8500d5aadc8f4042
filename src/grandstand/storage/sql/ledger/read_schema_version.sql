-- `works_from` is a column since 0018.
SELECT v.version_num AS version, to_jsonb(v) ->> 'works_from' AS works_from FROM schema_version AS v
