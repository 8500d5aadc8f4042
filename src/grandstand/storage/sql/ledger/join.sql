-- Joins the batches that may run side by side, for this transaction, and keeps the planner on the indexes:
-- batches look up a few thousand keys in tables that may hold billions of rows, and plans are made once.
SELECT
    pg_advisory_xact_lock_shared($1),
    set_config('enable_seqscan', 'off', true),
    set_config('enable_hashjoin', 'off', true),
    set_config('enable_mergejoin', 'off', true),
    set_config('plan_cache_mode', 'force_generic_plan', true)
