-- Keeps the planner on the indexes of large tables, whatever it thinks of the size of a queue that fills and empties, and
-- lets a few ten thousand events be grouped in memory. Nor would it plan long statements anew for each piece: that takes
-- milliseconds, and comes to the same.
SELECT
    set_config('enable_seqscan', 'off', true),
    set_config('enable_hashjoin', 'off', true),
    set_config('enable_mergejoin', 'off', true),
    set_config('plan_cache_mode', 'force_generic_plan', true),
    set_config('work_mem', '64MB', true)
