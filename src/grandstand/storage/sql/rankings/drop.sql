-- Gives up the rankings of a deleted board, or ($2 set) what is not archived of every epoch but that one.
UPDATE rankings SET state = 'dropped', is_swept = false
WHERE
    leaderboard_id = $1
    AND (($2::bigint IS NULL AND state <> 'dropped') OR (epoch <> $2::bigint AND state IN ('live', 'closed')))
