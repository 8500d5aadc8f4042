UPDATE event_archives SET
    state = 'verified', events = $2, checksum = $3, first_received_at = $4, last_received_at = $5, verified_at = now()
WHERE archive_id = $1 AND state = 'exporting'
RETURNING archive_id
