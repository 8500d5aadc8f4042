-- The name that stands where the player stood; the events under it count nowhere.
INSERT INTO players (user_id, unbanned_at, is_erased) VALUES ($1, $2, true)
