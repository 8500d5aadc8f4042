SELECT to_jsonb(t)::text FROM (
    SELECT revoked_at FROM player_revocations
    WHERE user_id = $1
) AS t
