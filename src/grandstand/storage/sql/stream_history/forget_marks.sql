UPDATE event_streams SET incarnation = NULL, appended = NULL, depth = NULL, changed_at = now()
