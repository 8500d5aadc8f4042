-- For one report at a time in a deployment: more memory to sort in, and $1 milliseconds a statement.
SELECT set_config('work_mem', '64MB', true), set_config('statement_timeout', $1, true)
