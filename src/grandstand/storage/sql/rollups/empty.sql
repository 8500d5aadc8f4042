TRUNCATE rollup_queue, rollups, rollup_users, first_events, rollup_months
