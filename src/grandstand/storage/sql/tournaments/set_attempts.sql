UPDATE participants AS p SET attempts = a.attempts
FROM unnest($3::text [], $4::integer []) AS a (user_id, attempts)
WHERE p.tournament_id = $1 AND p.occurrence = $2 AND p.user_id = a.user_id
