-- What a migration's transaction is told first. `lock_timeout` bounds how long traffic queues behind a statement that
-- waits; limits that were set for the user or the database are those of the product's own queries.
SELECT
    set_config('search_path', %(schema)s, true),
    set_config('application_name', %(name)s, true),
    set_config('lock_timeout', %(lock_timeout)s, true),
    set_config('statement_timeout', '0', true),
    set_config('idle_in_transaction_session_timeout', '0', true),
    -- Since PostgreSQL 17.
    (SELECT set_config(s.name, '0', true) FROM pg_settings AS s WHERE s.name = 'transaction_timeout')
