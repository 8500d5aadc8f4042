-- Entries of running rankings with buckets whose player has no bucket, or another entry in it.
SELECT e.user_id, r.leaderboard_id, r.started_at, m.bucket, count(*) OVER () AS found
FROM rankings AS r
INNER JOIN leaderboards AS l ON r.leaderboard_id = l.leaderboard_id AND r.epoch = l.epoch
INNER JOIN entries AS e ON r.ranking_id = e.ranking_id
LEFT JOIN bucket_members AS m ON r.ranking_id = m.ranking_id AND e.user_id = m.user_id
LEFT JOIN rankings AS b
    ON
        r.leaderboard_id = b.leaderboard_id AND r.epoch = b.epoch AND r.started_at = b.started_at
        AND b.part = 'b:' || m.bucket
LEFT JOIN entries AS i ON b.ranking_id = i.ranking_id AND e.user_id = i.user_id
WHERE
    r.state = 'live' AND r.part = '' AND l.deleted_at IS NULL AND l.definition ->> 'bucket_size' IS NOT NULL
    AND e.user_id = ANY ($1::text [])
    AND (
        m.user_id IS NULL
        OR (
            b.state = 'live'
            AND (e.score, e.total, e.tie_key, e.achieved_at, e.event_id, e.metadata)
            IS DISTINCT FROM (i.score, i.total, i.tie_key, i.achieved_at, i.event_id, i.metadata)
        )
        OR b.ranking_id IS NULL
    )
ORDER BY e.user_id
LIMIT $2
