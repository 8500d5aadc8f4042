INSERT INTO rollup_queue (received_month, received_until, events, event_types, user_ids, occurred_at, event_ids)
VALUES ($1, $2, $3, $4, $5, $6, $7)
