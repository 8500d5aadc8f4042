-- Entries that nobody reads any more and the sweeper would delete later.
DELETE FROM entries AS e
USING rankings AS r
WHERE e.ranking_id = r.ranking_id AND r.state IN ('archived', 'dropped') AND NOT r.is_swept AND e.user_id = $1
