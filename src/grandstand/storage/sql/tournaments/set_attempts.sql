UPDATE participants SET attempts = $4
WHERE tournament_id = $1 AND occurrence = $2 AND user_id = ANY ($3::text [])
