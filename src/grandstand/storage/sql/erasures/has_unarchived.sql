-- Whether the player has an entry on a ranking that has ended and is not in the archive yet.
SELECT EXISTS (
    SELECT FROM rankings AS r
    INNER JOIN entries AS e ON r.ranking_id = e.ranking_id
    WHERE r.state IN ('live', 'closed') AND r.ended_at <= $2 AND e.user_id = $1
)
