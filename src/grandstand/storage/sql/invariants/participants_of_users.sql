SELECT user_id, tournament_id, occurrence, attempts FROM participants WHERE user_id = ANY ($1::text [])
