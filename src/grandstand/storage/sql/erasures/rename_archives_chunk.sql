-- What was kept of the payload goes, as the payload does. In rankings behind $3 that ended by $4; returns the last one looked at, null when there was none.
WITH chunk AS (
    SELECT ranking_id FROM rankings
    WHERE state IN ('archived', 'dropped') AND ranking_id > $3 AND ended_at <= $4
    ORDER BY ranking_id
    LIMIT $5
),

renamed AS (
    UPDATE archived_entries AS a
    SET user_id = $2, metadata = CASE WHEN a.metadata IS NOT NULL THEN '{}' END
    FROM chunk AS s
    WHERE a.ranking_id = s.ranking_id AND a.user_id = $1
)

SELECT max(ranking_id) FROM chunk
