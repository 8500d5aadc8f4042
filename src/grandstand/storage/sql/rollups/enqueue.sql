INSERT INTO rollup_queue (events) VALUES ($1)
