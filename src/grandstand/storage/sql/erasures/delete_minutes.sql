-- The rates of a new life begin anew.
DELETE FROM plausibility_minutes WHERE user_id = $1
