-- Whether all UTC days from $1 to $2 with users are kept as they are counted. See the table `rollup_days`.
SELECT
    NOT EXISTS (
        SELECT FROM rollups AS r
        WHERE
            r.grain = 'day' AND r.event_type = ''
            AND r.start >= $1::date::timestamp AT TIME ZONE 'UTC' AND r.start <= $2::date::timestamp AT TIME ZONE 'UTC'
            AND r.users IS DISTINCT FROM (
                SELECT sum(k.users) FILTER (WHERE k.kind = 'stay') FROM rollup_days AS k
                WHERE k.day = (r.start AT TIME ZONE 'UTC')::date
                HAVING bool_or(k.kind = 'cohort' AND k.number = 0)
            )
    )
