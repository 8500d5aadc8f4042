-- A failure counts only for the claim that it is of; a success is one whoever else has tried meanwhile.
UPDATE webhook_deliveries AS delivery
SET
    attempts = delivery.attempts + 1,
    status = attempt.status,
    next_attempt_at = now() + make_interval(secs => attempt.delay_seconds),
    last_status = attempt.http_status,
    last_error = attempt.error,
    delivered_at = CASE WHEN attempt.status = 'delivered' THEN now() END
FROM
    unnest($1::uuid [], $2::uuid [], $3::integer [], $4::text [], $5::float8 [], $6::integer [], $7::text [])
    AS attempt (event_id, endpoint_id, attempts, status, delay_seconds, http_status, error)
WHERE
    delivery.event_id = attempt.event_id
    AND delivery.endpoint_id = attempt.endpoint_id
    AND delivery.status <> 'delivered'
    AND (attempt.status = 'delivered' OR (delivery.status = 'pending' AND delivery.attempts = attempt.attempts))
