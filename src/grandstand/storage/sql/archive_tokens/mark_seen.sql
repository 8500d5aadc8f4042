UPDATE archive_tokens SET seen_at = now() WHERE token = $1
