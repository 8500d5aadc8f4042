-- Takes a user off every ranking that is not archived, but for those of settled occurrences: their ranks are final.
DELETE FROM entries AS e
USING rankings AS r
WHERE
    e.ranking_id = r.ranking_id AND r.state IN ('live', 'closed') AND e.user_id = $1
    AND NOT EXISTS (
        SELECT FROM tournaments AS t
        INNER JOIN occurrences AS o ON t.tournament_id = o.tournament_id
        WHERE t.leaderboard_id = r.leaderboard_id AND o.starts_at = r.started_at AND o.status = 'settled'
    )
RETURNING e.ranking_id, e.user_id, e.score, e.tie_key, e.achieved_at, e.metadata,
    nextval('entry_versions') AS version
