-- Whether anything is queued of the days of arrival from $1 up to $2.
SELECT EXISTS (
    SELECT FROM rollup_queue
    WHERE received_month < $2::date
        AND coalesce(received_until, (received_month + interval '1 month')::date) > $1::date
)
