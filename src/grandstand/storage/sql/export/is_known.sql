SELECT
    EXISTS (SELECT FROM players WHERE user_id = $1)
    OR EXISTS (SELECT FROM events WHERE user_id = $1)
    OR EXISTS (SELECT FROM archived_users WHERE user_id = $1)
    OR EXISTS (SELECT FROM player_devices WHERE user_id = $1)
    OR EXISTS (SELECT FROM prizes WHERE user_id = $1)
    OR EXISTS (SELECT FROM dead_letters WHERE user_id = $1)
    OR EXISTS (SELECT FROM audit_log WHERE target = $1)
    OR EXISTS (
        SELECT FROM rankings AS r
        INNER JOIN entries AS e ON r.ranking_id = e.ranking_id
        WHERE NOT r.is_swept AND e.user_id = $1
    )
    OR EXISTS (
        SELECT FROM occurrences AS o
        INNER JOIN participants AS p ON o.tournament_id = p.tournament_id AND o.occurrence = p.occurrence
        WHERE p.user_id = $1
    )
