INSERT INTO players AS p (user_id, display_name, country, metadata)
VALUES ($1, $2, $3, coalesce($4::jsonb, '{}'))
ON CONFLICT (user_id) DO UPDATE
    SET
        display_name = excluded.display_name, country = excluded.country, metadata = coalesce($4::jsonb, p.metadata),
        updated_at = now()
RETURNING user_id, display_name, country, metadata, created_at, updated_at
