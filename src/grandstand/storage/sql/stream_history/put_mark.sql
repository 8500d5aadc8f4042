UPDATE event_streams SET incarnation = $2, appended = $3, depth = $4, changed_at = now() WHERE stream = $1
