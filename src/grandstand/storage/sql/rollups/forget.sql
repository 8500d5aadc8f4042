DELETE FROM rollup_queue WHERE batch_id = ANY ($1::bigint [])
