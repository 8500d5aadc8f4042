-- What the session is told that builds indexes: their statements run in no transaction of ours.
SELECT
    set_config('application_name', %(name)s, false),
    set_config('lock_timeout', %(lock_timeout)s, false),
    set_config('statement_timeout', '0', false)
