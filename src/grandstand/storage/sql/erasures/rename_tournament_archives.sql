-- Archives of tournaments are compared with standings: they change in the same transaction.
UPDATE archived_entries AS a SET user_id = $2, metadata = CASE WHEN a.metadata IS NOT NULL THEN '{}' END
FROM rankings AS r
INNER JOIN tournaments AS t ON r.leaderboard_id = t.leaderboard_id
WHERE a.ranking_id = r.ranking_id AND a.user_id = $1 AND r.state = 'archived' AND r.ended_at <= $3
