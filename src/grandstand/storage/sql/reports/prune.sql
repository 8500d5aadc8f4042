DELETE FROM reports WHERE asked_at < $1
