SELECT user_id, joined_at, attempts FROM participants
WHERE tournament_id = $1 AND occurrence = $2 AND user_id = ANY ($3::text [])
