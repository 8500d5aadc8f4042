-- Every stored event of some types that is not quarantined on a board, in no order: a replay's folds do not mind.
SELECT e.id, e.event_type, e.user_id, e.occurred_at, e.received_at, e.payload::text AS payload
FROM events AS e
WHERE
    e.event_type = ANY ($1::text [])
    AND NOT EXISTS (
        SELECT FROM quarantine AS q WHERE q.event_id = e.id AND q.leaderboard_id = $2 AND NOT q.counts
    )
