-- Nothing is said of the player any more, but that what arrived by now counts no longer: as after a lifted ban.
INSERT INTO players (user_id, unbanned_at, created_at, updated_at)
VALUES ($1, $2, $2, $2)
ON CONFLICT (user_id) DO UPDATE SET
    display_name = NULL, country = NULL, metadata = '{}', banned_at = NULL, ban_reason = NULL,
    unbanned_at = excluded.unbanned_at, created_at = excluded.created_at, updated_at = excluded.updated_at
