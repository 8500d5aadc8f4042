-- Tables, as names for a statement, of which the planner keeps samples with the id: as a whole value, as an actor, or
-- somewhere in JSON. Whoever is often in a table stands among its most common values until it is analyzed again.
SELECT DISTINCT format('%I.%I', s.schemaname, s.tablename) AS table_name
FROM pg_stats AS s
CROSS JOIN LATERAL unnest(
    s.most_common_vals::text::text [] || s.histogram_bounds::text::text [] || s.most_common_elems::text::text []
) AS v (sample)
WHERE
    s.schemaname = current_schema()
    AND (
        v.sample = $1::text OR v.sample = 'player:' || $1::text
        OR position(to_json($1::text)::text IN v.sample) > 0
    )
ORDER BY table_name
