INSERT INTO participants (tournament_id, occurrence, user_id, joined_at)
SELECT $1, $2, u.user_id, $4
FROM unnest($3::text []) AS u (user_id)
ON CONFLICT DO NOTHING
RETURNING user_id
