SELECT id FROM events WHERE id = ANY ($1::uuid [])
