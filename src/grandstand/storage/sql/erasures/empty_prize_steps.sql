-- What happened to the prizes stays; words that people wrote about it go, and so does who claimed them.
UPDATE prize_steps SET
    reason = NULL,
    actor = CASE WHEN actor = 'player:' || $2::text THEN 'player:' || $3::text ELSE actor END
WHERE prize_id = ANY ($1::uuid [])
