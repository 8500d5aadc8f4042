-- For one statement at a time in a deployment: $1 milliseconds.
SELECT set_config('statement_timeout', $1, true)
