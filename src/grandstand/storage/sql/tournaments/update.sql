UPDATE tournaments SET definition = $2::jsonb, updated_at = now() WHERE tournament_id = $1
