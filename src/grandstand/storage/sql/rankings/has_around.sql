-- Whether a period of an epoch holds both what occurred before a moment and what occurred after it.
SELECT EXISTS (
    SELECT 1 FROM rankings
    WHERE
        leaderboard_id = $1 AND epoch = $2 AND state <> 'dropped' AND started_at < $3
        AND (ended_at IS NULL OR ended_at > $3)
)
