SELECT EXISTS (SELECT 1 FROM entries WHERE ranking_id = ANY ($1::bigint []))
