SELECT to_jsonb(t)::text FROM (
    SELECT
        display_name, country, metadata, created_at, updated_at, banned_at, ban_reason, unbanned_at
    FROM players
    WHERE user_id = $1
) AS t
